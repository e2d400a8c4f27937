"""An upgrade below or of a Kubernetes that is tried: what its users see meanwhile, and what became of its pods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.observe.checkers import no_write_lost
from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.idle import settled_down
from vdc.observe.ordinary import keeper_of_a_volume, settled, web_on_every_node
from vdc.observe.service import Prober
from vdc.observe.verdict import Kind, Verdict, judge, shown
from vdc.observe.volume import writing
from vdc.rolling.holding import wait_back
from vdc.rolling.witness import witnessing
from vdc.upgrade.looking import Look, Process, look
from vdc.upgrade.mixed import holds
from vdc.upgrade.parts import API_SERVER, programs_of
from vdc.upgrade.path import Traffic, UpgradePath
from vdc.upgrade.rounds import turns
from vdc.upgrade.running import nothing_old
from vdc.upgrade.steady import running
from vdc.upgrade.trial import Upgrades, allowed, changed, expect_release, restarts, returned, upgrader
from vdc.upgrade.upgrader import Upgrader
from vdc.upgrade.way import Way

SHIM: Final = "/usr/bin/containerd-shim-runc-v2"
"""What holds the containers of a pod, by the containerd that began it, until the pod ends: containers would not outlive
another one (https://github.com/containerd/containerd/blob/main/core/runtime/v2/README.md)."""

_LANES: Final[Mapping[str, Traffic]] = MappingProxyType(
    {"API": "api", "pod": "flows", "service": "service", "load": "load-balancer", "DNS": "dns"}
)
"""How the lane begins that something is told under (`vdc.observe.kubernetes_ways`), to what a budget calls it."""

_ITSELF: Final = "API server of "
"""How the lane begins of an API server that is asked itself, past any proxy."""

_OF_A_NODE: Final = "DaemonSet"
"""What owns the pods that a node always has: a drain leaves them."""

_AT_ONCE: Final = 4  # nodes

Pods = Mapping[str, str]
"""Namespace, name and uid of a pod, to its node and its restarts."""


@contextmanager
def tried_in_place(
    dc: DataCenter, kubernetes: KubernetesCluster, path: UpgradePath, *, probe: Prober, upgrades: Upgrades
) -> Iterator[Upgrader]:
    """Demand that the body leads all nodes of a path to its new release, that nobody notices, and no pod is touched.

    Where the path says that pods are evicted, they are where they were in the end, and those that a node always has
    were not touched.

    Raises AssertionError with what all checkers say; WaitTimeout: it is not whole afterwards.
    """
    going = upgrader(dc, kubernetes, path, upgrades)
    whole = proven_in_place(dc, kubernetes, path, going.way, upgrades=upgrades)
    with whole, witnessing(dc) as witness, users_of(dc, kubernetes, path, probe=probe):
        yield going
    judge(*restarts(witness, going.way, path))


@contextmanager
def proven_in_place(
    dc: DataCenter, kubernetes: KubernetesCluster, path: UpgradePath, way: Way, *, upgrades: Upgrades
) -> Iterator[None]:
    """Demand that the body leads all nodes from the old release to the new one, by all that can be seen of them, and
    does to pods what the path says.

    Raises AssertionError with what all checkers say.
    """
    expect_release(dc, way, path, new=False)
    settled(kubernetes)
    fresh, before = upgrades.fresh(dc, path.target), look_at_nodes(kubernetes)
    with pods_come_back(kubernetes) if path.evicts else pods_stay(kubernetes):
        yield
    expect_release(dc, way, path, new=True)
    after = look_at_nodes(kubernetes)
    judge(
        nothing_old_but_shims(dc, path, before, after, upgrades),
        changed(path, before, after, fresh),
        settled_down(kubernetes),
    )


def go_and_again(
    dc: DataCenter, kubernetes: KubernetesCluster, path: UpgradePath, *, probe: Prober, upgrades: Upgrades
) -> None:
    """Lead all nodes along a path, as `tried_in_place` demands it, and then once more: that must leave all alone.

    Raises AssertionError, WaitTimeout.
    """
    with tried_in_place(dc, kubernetes, path, probe=probe, upgrades=upgrades) as going:
        assert set(going.run()) == set(kubernetes.node_names)
    with pods_stay(kubernetes):
        assert upgrader(dc, kubernetes, path.again, upgrades).run() == ()
        judge(settled_down(kubernetes))


@contextmanager
def users_of(dc: DataCenter, kubernetes: KubernetesCluster, path: UpgradePath, *, probe: Prober) -> Iterator[None]:
    """Demand that every way to a cluster is open but for as long as a path allows, and that nothing written is lost.

    Objects are written before the body through each API server, and lines on a volume all the time.

    Raises AssertionError.
    """
    keeper = partial(keeper_of_a_volume, kubernetes)
    pods = web_on_every_node(kubernetes)
    volume = writing(kubernetes, keeper)
    with probe.kubernetes(kubernetes, pods) as watch, volume as written, keeping_data(kubernetes):
        yield
        wait_whole(dc, kubernetes)
        kubernetes.wait_nodes_ready()
    alone = len(kubernetes.members) == 1
    judge(*outages(dc, path, watch, alone=alone), no_write_lost(written.operations, written.final))


def outages(dc: DataCenter, path: UpgradePath, watch: FlowWatch, *, alone: bool) -> tuple[Verdict, ...]:
    """Return a verdict for each budget of a path that is asked for; `alone`: there is one API server, and no other.

    Raises InputError: it has none for something that is asked.
    """
    replaced = API_SERVER.programs[0] in programs_of(path)
    nobody = {"api"} if replaced and alone else set() if replaced else {"api-server"}
    groups: dict[Traffic, list[FlowSeen]] = {traffic: [] for traffic in path.budgets if traffic not in nobody}
    for flow in watch.flows:
        traffic = _LANES[flow.lane.split()[0]]
        itself = replaced and traffic == "api" and (alone or flow.lane.startswith(_ITSELF))
        groups.setdefault("api-server" if itself else traffic, []).append(flow)
    return tuple(
        longest_flow_outage(replace(watch, flows=tuple(flows)), budget=allowed(dc, path, traffic))
        for traffic, flows in groups.items()
    )


@contextmanager
def pods_stay(kubernetes: KubernetesCluster) -> Iterator[None]:
    """Demand that after the body each pod is the one that it was, where it was, held by the process that held it.

    Raises AssertionError.
    """
    before, held = pods_of(kubernetes), shims(kubernetes)
    yield
    judge(untouched(before, pods_of(kubernetes)), held_on(held, shims(kubernetes)))


@contextmanager
def pods_come_back(kubernetes: KubernetesCluster) -> Iterator[None]:
    """Demand that after the body as many pods are on each node as before it, and that those of it alone never left.

    Raises AssertionError; WaitTimeout: with those that are missing or too many.
    """
    before = pods_of(kubernetes, owner=_OF_A_NODE)
    with wait_back(kubernetes):
        yield
    judge(untouched(before, pods_of(kubernetes, owner=_OF_A_NODE)))


def hold_and_return(
    dc: DataCenter,
    kubernetes: KubernetesCluster,
    path: UpgradePath,
    *,
    probe: Prober,
    upgrades: Upgrades,
    ordinary: Callable[[], None],
) -> None:
    """Hold a path after the first turn, half and all but one: `ordinary` passes there; one node goes back there.

    Then all nodes go to its end, and all go back. Nobody notices any of it, and no pod is touched.

    Raises AssertionError.
    """
    going = upgrader(dc, kubernetes, path, upgrades)
    everybody = turns(going.way, going.limits)
    with dc.steps.step("before anybody goes"):  # what it makes must be there when nodes are looked at
        ordinary()
    settled(kubernetes)
    before = look_at_nodes(kubernetes)
    with pods_stay(kubernetes):
        for number in holds(len(everybody)):
            with users_of(dc, kubernetes, path, probe=probe):
                going.run(most=number)
            done = [name for name, way in everybody if way.at(name) == path.after]
            assert len(done) == number, f"held after {number}, and {len(done)} are at {path.after}: {done}"
            with dc.steps.step(f"held after {number}"):
                ordinary()
        new = [node.name for node in going.way.nodes if going.way.at(node.name) == path.after]
        one = next(name for name in reversed(new) if len(new) == 1 or name not in kubernetes.members)
        with users_of(dc, kubernetes, path, probe=probe):
            assert going.back([one]) == (one,)
            going.run()
            expect_release(dc, going.way, path, new=True)
            assert set(going.back()) == {name for name, _ in everybody}
    expect_release(dc, going.way, path, new=False)
    judge(returned(path, before, look_at_nodes(kubernetes)))


def pods_of(kubernetes: KubernetesCluster, *, owner: str = "") -> Pods:
    """Return all pods there are, or those of one kind of owner. Raises ClusterError."""
    return {
        f"{pod.namespace}/{pod.name} {pod.uid}": f"{pod.restarts} restarts on {pod.node}"
        for pod in kubernetes.pods()
        if owner in {"", pod.owner}
    }


def untouched(before: Pods, after: Pods) -> Verdict:
    """Judge whether no pod was evicted, restarted, moved or begun."""
    gone = [f"{name} is gone" for name in sorted(before.keys() - after.keys())]
    new = [f"{name} is new" for name in sorted(after.keys() - before.keys())]
    other = [
        f"{name} has {after[name]}, had {had}" for name, had in sorted(before.items()) if after.get(name, had) != had
    ]
    figures = {"pods": float(len(before)), "touched": float(len(gone) + len(new) + len(other))}
    if wrong := [*gone, *other, *new]:
        return Verdict(kind=Kind.INVALID, checker="untouched", message=shown(wrong), figures=figures)
    if not before:
        return Verdict(kind=Kind.UNKNOWN, checker="untouched", message="there were no pods", figures=figures)
    message = f"{len(before)} pods are the same, where they were"
    return Verdict(kind=Kind.VALID, checker="untouched", message=message, figures=figures)


def held_on(before: Mapping[str, Collection[int]], after: Mapping[str, Collection[int]]) -> Verdict:
    """Judge whether each process that held the containers of a pod on a node is still there, and no other one is.

    Containers outlive nobody who holds them: so they were not begun anew either, whatever the API says.
    """
    figures = {"shims": float(sum(map(len, before.values())))}
    wrong = [
        f"on {node} pods were held by {sorted(pids)}, and are by {sorted(after.get(node, ()))}"
        for node, pids in sorted(before.items())
        if set(pids) != set(after.get(node, ()))
    ]
    if wrong:
        return Verdict(kind=Kind.INVALID, checker="held_on", message=shown(wrong), figures=figures)
    if not any(before.values()):
        return Verdict(kind=Kind.UNKNOWN, checker="held_on", message="no containers were there", figures=figures)
    message = f"the {figures['shims']:.0f} processes that hold containers are those that did"
    return Verdict(kind=Kind.VALID, checker="held_on", message=message, figures=figures)


def look_at_nodes(kubernetes: KubernetesCluster) -> Mapping[str, Look]:
    """Look at every node, the control plane first. Raises CommandError, WaitTimeout, ClusterError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seen = pool.map(look, (kubernetes.dc.servers[name] for name in kubernetes.node_names))
        return dict(zip(kubernetes.node_names, seen, strict=True))


def nothing_old_but_shims(
    dc: DataCenter, path: UpgradePath, before: Mapping[str, Look], after: Mapping[str, Look], upgrades: Upgrades
) -> Verdict:
    """Judge whether of the programs that a path renews only the new ones run on every node.

    Shims of pods that ran before are left out, but no other: what a container runs is none of the release.
    """
    wanted = programs_of(path) | {SHIM}
    seen = {
        name: tuple(_of(one.processes, wanted, besides=_of(before[name].processes, {SHIM})))
        for name, one in after.items()
    }
    return nothing_old(seen, upgrades.executables(dc, path.target, wanted), release=path.target)


def shims(kubernetes: KubernetesCluster) -> Mapping[str, frozenset[int]]:
    """Return the processes that hold containers on each node. Raises CommandError, WaitTimeout, ClusterError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        told = pool.map(running, (kubernetes.dc.servers[name] for name in kubernetes.node_names))
        return {
            name: frozenset(map(int, programs.get(SHIM, "").split()))
            for name, programs in zip(kubernetes.node_names, told, strict=True)
        }


def _of(ran: Iterable[Process], programs: Collection[str], *, besides: Iterable[Process] = ()) -> Iterator[Process]:
    """Yield the processes of some programs, but for those of the same number and program that were there before."""
    known = {(process.pid, process.executable) for process in besides}
    for process in ran:
        if process.executable in programs and (process.pid, process.executable) not in known:
            yield process
