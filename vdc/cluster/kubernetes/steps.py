"""The steps by which a cluster comes to be, in their order. Each finds done what an earlier deployment did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vdc.cluster.kubernetes import serving
from vdc.cluster.kubernetes.agent_files import agent_manifests
from vdc.cluster.kubernetes.api import Component, Manifest
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.lifecycle import enlist
from vdc.cluster.kubernetes.manifests import cluster_manifests
from vdc.cluster.kubernetes.registering import register
from vdc.cluster.kubernetes.spec import Node
from vdc.cluster.kubernetes.store import NAMESPACE
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, WaitTimeout
from vdc.wait import NotYet, wait_for

# Of one that starts alone: those that start together may have to share the cores of a small host.
_ETCD_SECONDS: Final = 120.0
_API_SECONDS: Final = 240.0
_READY_SECONDS: Final = 100.0

_LOCAL: Final = (Component.API_PROXY, Component.RUNTIME, Component.DNS)
"""What needs neither API server nor etcd."""
_CONTROLLERS: Final = (Component.CONTROLLER_MANAGER, Component.SCHEDULER)
_NODE: Final = (Component.KUBELET, Component.KUBE_PROXY, Component.AGENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A deployment: `joined` are the nodes that an earlier one brought to the end."""

    installer: Installer
    joined: frozenset[str]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes that there are to be."""
        return self.installer.cluster.nodes

    @property
    def planes(self) -> tuple[Node, ...]:
        """Those of the control plane."""
        return self.installer.cluster.control_planes


Step = tuple[str, Callable[[Work], None]]
"""What a step is called, and what is done in it."""


def beginning(work: Work) -> Sequence[Manifest]:
    """Return the objects that a cluster has from the start."""
    cluster = work.installer.cluster
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return (own, *cluster_manifests(cluster), *agent_manifests())


def _install(work: Work) -> None:
    """Put files in place; where some members of etcd are there already, the others join them."""
    there = [node for node in work.planes if node.name in work.joined]
    joining = [node for node in work.planes if there and node.name not in work.joined]
    for node in joining:
        enlist(work.installer, node, there)
    work.installer.install(work.nodes, joining=frozenset(node.name for node in joining))


def _start_local(work: Work) -> None:
    work.installer.start(work.nodes, _LOCAL)


def _start_etcd(work: Work) -> None:
    for nodes in _in_turn(work):
        work.installer.start(nodes, [Component.ETCD])
        _wait_etcd(work, nodes)


def _in_turn(work: Work) -> Sequence[Sequence[Node]]:
    """Return the control plane all at once when it begins, and node by node where it serves already."""
    return [[node] for node in work.planes] if work.joined else [work.planes]


def _wait_etcd(work: Work, nodes: Sequence[Node]) -> None:
    for node in nodes:

        def healthy(node: Node = node) -> None:
            try:
                status = work.installer.access.members.status(node)
            except ClusterError as error:
                raise NotYet(error.message) from error
            if status.leader == "0":
                raise NotYet("it knows no leader")

        _wait(work, healthy, node, Component.ETCD, "to be healthy", _ETCD_SECONDS * len(nodes))


def _start_api_servers(work: Work) -> None:
    for nodes in _in_turn(work):
        work.installer.start(nodes, [Component.API_SERVER])
        _wait_api_servers(work, nodes)


def _wait_api_servers(work: Work, nodes: Sequence[Node]) -> None:
    for node in nodes:

        def ready(node: Node = node) -> None:
            try:
                work.installer.access.api([node]).request("GET", "/readyz")
            except ClusterError as error:
                raise NotYet(error.message) from error

        _wait(work, ready, node, Component.API_SERVER, "to be ready", _API_SECONDS * len(nodes))


def _apply(work: Work) -> None:
    api = work.installer.access.api(work.planes)
    for manifest in beginning(work):
        api.apply(manifest)
    for node in work.nodes:
        register(api, work.installer.cluster, node)


def _start_controllers(work: Work) -> None:
    work.installer.start(work.planes, _CONTROLLERS)


def _start_nodes(work: Work) -> None:
    work.installer.start(work.nodes, _NODE)


def _wait_nodes(work: Work) -> None:
    dc = work.installer.dc
    api = work.installer.access.api(work.planes)
    names = [node.name for node in work.nodes]
    serving.wait_nodes_ready(dc, api, names, timeout=deadline(dc, _READY_SECONDS * len(names)))


STEPS: Final[tuple[Step, ...]] = (
    ("install files", _install),
    ("start what needs no API", _start_local),
    ("start etcd, and wait until it is healthy", _start_etcd),
    ("start the API servers, and wait until they are ready", _start_api_servers),
    ("apply what a cluster begins with", _apply),
    ("start controllers and schedulers", _start_controllers),
    ("start the nodes", _start_nodes),
    ("wait until all nodes are Ready", _wait_nodes),
)


def _wait(work: Work, check: Callable[[], None], node: Node, component: Component, what: str, seconds: float) -> None:
    dc = work.installer.dc
    try:
        wait_for(check, what=f"{component} on {node.name} {what}", timeout=deadline(dc, seconds), interval=0.3)
    except WaitTimeout as error:
        raise serving.with_journals(error, dc, [node.name], component) from error
