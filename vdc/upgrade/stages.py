"""What is done to which nodes, in which order, by each method of upgrading. Pure: nothing is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vdc.errors import InputError
from vdc.model.topology import Topology
from vdc.rolling.queue import Limits, Node, Order, Queue, nodes_of
from vdc.upgrade.path import Change, Method
from vdc.upgrade.rules import API_SERVER

Batches = tuple[tuple[str, ...], ...]
"""Names of nodes: those of one batch together, the batches one after the other."""

BOOTED: Final = frozenset({"debian", "kernel"})
"""What is new only after a boot from another disk."""

_CONTROLLERS: Final = ("kube-controller-manager", "kube-scheduler")
CONTROL_PLANE: Final = (API_SERVER, *_CONTROLLERS)
ON_NODES: Final = ("kubelet", "kube-proxy")
_RUNTIME: Final = ("containerd", "runc")
_NAMED_APART: Final = frozenset({"etcd", "kubernetes", *_RUNTIME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One thing done to nodes in turn: `what`, and the fact waited for before the next ones are touched.

    `scope` says which nodes those are in words, `nodes` by name where a topology is known. `parts` are the processes
    that run the new version afterwards.
    """

    what: str
    until: str
    scope: str
    nodes: Batches = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes that an upgrade is for; without a topology they stand for whatever there will be."""

    nodes: tuple[Node, ...]
    routers: tuple[str, ...] = ()
    named: bool = False

    @classmethod
    def of(cls, topology: Topology | None, *, kubernetes: bool) -> Fleet:
        """Return those of a topology, or of any one."""
        if topology is None:
            voters = tuple(Node(name=f"control plane {rack}", rack=rack, votes=True) for rack in range(3))
            return cls((*voters, Node(name="worker", rack=3, votes=not kubernetes)))
        return cls(nodes_of(topology), tuple(router.name for router in topology.routers), named=True)

    def batches(self, at_once: int, *, voters: bool = False) -> Batches:
        """Return nodes in the order of the queue, those of the control plane first; `voters`: nobody else."""
        queue = Queue.of(
            (node for node in self.nodes if node.votes or not voters),
            Limits(at_once=at_once, order=Order.VOTERS_FIRST),
        )
        found: list[tuple[str, ...]] = []
        while batch := queue.ready(0.0):
            found.append(batch)
            for name in batch:
                queue = queue.started(name)
            for name in batch:
                queue = queue.finished(name)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What changes, where, how many nodes at once, and whether pods may be moved or restarted."""

    changes: tuple[Change, ...]
    fleet: Fleet
    at_once: int
    evicts: bool

    @property
    def changing(self) -> frozenset[str]:
        """The components that change."""
        return frozenset(change.component for change in self.changes)

    def says(self, *components: str) -> str:
        """Return what nodes say of themselves afterwards."""
        wanted = [each for each in self.changes if each.new and (not components or each.component in components)]
        return ", ".join(f"{each.component} {each.new}" for each in wanted)

    def stage(
        self, what: str, until: str, *, voters: bool = False, alone: bool = False, parts: Sequence[str] = ()
    ) -> Stage:
        """Return a stage for all nodes, or for those of the control plane; `alone`: never two together."""
        at_once = 1 if alone or voters else self.at_once
        who = self._who(voters=voters)
        how = "one at a time" if at_once == 1 else f"at most {at_once} at a time, all of one rack"
        nodes = self.fleet.batches(at_once, voters=voters)
        return Stage(what=what, until=until, scope=f"{who}, {how}", nodes=nodes, parts=tuple(parts))

    def _who(self, *, voters: bool) -> str:
        if all(node.votes for node in self.fleet.nodes):
            return "each member"
        return "each control-plane node" if voters else "each node, those of the control plane first"


def _reimaged(work: Work) -> Iterator[Stage]:
    drain, back = ("drain it, ", ", let pods return") if work.evicts else ("", "")
    yield work.stage(
        f"{drain}shut it down, give it a new root disk, power it on{back}",
        f"it has booted anew, serves, and says {work.says()}",
        parts=(
            *((*CONTROL_PLANE, *ON_NODES) if "kubernetes" in work.changing else ()),
            *(name for name in _RUNTIME if name in work.changing),
        ),
    )


def _in_place(work: Work) -> Iterator[Stage]:
    yield from _below(work)
    yield from _kubernetes(work, "put kubelet and kube-proxy in place, restart them; pods run on")


def _drained(work: Work) -> Iterator[Stage]:
    yield from _below(work)
    yield from _kubernetes(work, "cordon and drain it, put kubelet and kube-proxy in place, restart them, uncordon it")


def _below(work: Work) -> Iterator[Stage]:
    """Yield what Kubernetes stands on, or what there is without one."""
    if booted := work.changing & BOOTED:
        raise InputError(
            f"{' and '.join(sorted(booted))} cannot be replaced in place", hint="a path by `reimage` leads there"
        )
    if "etcd" in work.changing:
        yield work.stage(
            "put etcd in place, restart it", f"the member is healthy and says {work.says('etcd')}", voters=True
        )
    if runtime := [name for name in _RUNTIME if name in work.changing]:
        yield work.stage(
            f"put {' and '.join(runtime)} in place, restart containerd; pods run on",
            f"the node is Ready and says {work.says(*runtime)}",
            parts=runtime,
        )
    for change in work.changes:
        if change.component not in _NAMED_APART:
            yield work.stage(f"put {change.component} in place, restart it", f"it says {work.says(change.component)}")


def _kubernetes(work: Work, nodes: str) -> Iterator[Stage]:
    if "kubernetes" not in work.changing:
        return
    says = work.says("kubernetes")
    yield work.stage(
        "put the API server in place, restart it", f"it serves and says {says}", voters=True, parts=(API_SERVER,)
    )
    yield work.stage(
        "put controller manager and scheduler in place, restart them",
        f"they are healthy and say {says}, and somebody leads",
        voters=True,
        parts=_CONTROLLERS,
    )
    yield work.stage(nodes, f"the node is Ready and says {says}", parts=ON_NODES)


def _restarted(work: Work) -> Iterator[Stage]:
    yield Stage(
        what="replace its BIRD, which restarts gracefully: the kernel goes on forwarding",
        until=f"its sessions are up and its routes in, and it says {work.says()}",
        scope="each router, one at a time, so that no rack ever lacks both of its ToRs",
        nodes=tuple((name,) for name in work.fleet.routers),
    )


def _rebooted(work: Work) -> Iterator[Stage]:
    yield work.stage(
        "shut it down, give it the other firmware, power it on", f"it has booted anew, serves, and says {work.says()}"
    )


def _applied(work: Work) -> Iterator[Stage]:
    says = work.says()
    for what, until in (
        ("apply the definition of the custom resource, with old and new version", "the API serves both versions"),
        ("roll out the controller", f"it leads, and says {says}"),
        ("convert the stored objects", "each is stored in the new version, and reads the same in both"),
        ("stop serving the old version", "the API serves the new one only"),
    ):
        yield Stage(what=what, until=until, scope="once")


STAGES: Final[Mapping[Method, Callable[[Work], Iterator[Stage]]]] = MappingProxyType(
    {
        Method.REIMAGE: _reimaged,
        Method.IN_PLACE: _in_place,
        Method.DRAIN: _drained,
        Method.RESTART: _restarted,
        Method.FIRMWARE: _rebooted,
        Method.WORKLOAD: _applied,
    }
)
