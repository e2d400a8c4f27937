"""The steps by which a cluster comes to be, or to be another one, in their order.

Each finds done what an earlier deployment did, and what runs is never all restarted at once: who asks is served on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from vdc.cluster.kubernetes import serving
from vdc.cluster.kubernetes.agent_files import agent_manifests
from vdc.cluster.kubernetes.api import Component, Manifest
from vdc.cluster.kubernetes.installing import NOTHING, Installer, Seen
from vdc.cluster.kubernetes.manifests import cluster_manifests
from vdc.cluster.kubernetes.members import peer_url
from vdc.cluster.kubernetes.membership import ETCD_SECONDS, Membership, wait_healthy
from vdc.cluster.kubernetes.record import Record
from vdc.cluster.kubernetes.registering import register
from vdc.cluster.kubernetes.spec import Node
from vdc.cluster.kubernetes.store import NAMESPACE
from vdc.cluster.kubernetes.timers import timers
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, WaitTimeout
from vdc.wait import NotYet

# Of one that starts alone: those that start together may have to share the cores of a small host.
_API_SECONDS: Final = 240.0
_READY_SECONDS: Final = 100.0

_LOCAL: Final = (Component.API_PROXY, Component.RUNTIME, Component.DNS)
"""What needs neither API server nor etcd."""
_CONTROLLERS: Final = (Component.CONTROLLER_MANAGER, Component.SCHEDULER)
_NODE: Final = (Component.KUBELET, Component.KUBE_PROXY, Component.AGENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done: `nodes` are those that are not as they should be, and `seen` is what was found on them.

    `planes` are those control-plane nodes of the whole cluster whose servers run, whether or not anything is done to
    them.
    """

    installer: Installer
    record: Record
    nodes: tuple[Node, ...]
    seen: Mapping[str, Seen]
    planes: tuple[Node, ...]

    @property
    def own_planes(self) -> tuple[Node, ...]:
        """The nodes of the control plane among those that something is done to."""
        return tuple(node for node in self.nodes if node.control_plane)

    def with_alive(self, component: Component) -> tuple[Node, ...]:
        """Return those nodes on which a component runs, with whichever files."""
        return tuple(node for node in self.nodes if component in self.seen[node.name].alive)

    def without(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """Return the other nodes."""
        return tuple(node for node in self.nodes if node not in nodes)


Step = tuple[str, Callable[[Work], None]]
"""What a step is called, and what is done in it."""


def work_on(installer: Installer, record: Record, nodes: Sequence[Node]) -> Work:
    """Return what is to be done to make nodes what they should be. Raises ClusterError."""
    seen = installer.look(nodes) if record.founded else dict.fromkeys((node.name for node in nodes), NOTHING)
    return Work(
        installer=installer,
        record=record,
        nodes=tuple(node for node in nodes if node.name in record.changing or not seen[node.name].whole),
        seen=seen,
        planes=tuple(node for node in nodes if node.control_plane),
    )


def perform(work: Work, steps: Sequence[Step]) -> None:
    """Take steps in their order. Raises ClusterError; WaitTimeout with the step."""
    for name, action in steps:
        with work.installer.dc.steps.step(name):
            try:
                action(work)
            except WaitTimeout as error:
                raise WaitTimeout(
                    f"{error.what}, in the step “{name}”", deadline=error.deadline, last=error.last, log=error.log
                ) from error


def beginning(work: Work) -> Sequence[Manifest]:
    """Return the objects that a cluster has from the start."""
    cluster = work.installer.cluster
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return (own, *cluster_manifests(cluster), *agent_manifests())


def _install(work: Work) -> None:
    work.installer.install(work.nodes, joining=work.record.founded)


def _start_local(work: Work) -> None:
    """Start them where they don't run. The other proxies go on with what they know until all API servers are there."""
    work.installer.start(work.without(work.with_alive(Component.API_PROXY)), _LOCAL)


def _start_etcd(work: Work) -> None:
    """Start members: all at once when etcd begins, later those that don't run, then one by one what is not right.

    At last those that are none join, one after the other.
    """
    installer, planes = work.installer, work.own_planes
    if not work.record.founded:
        installer.start(planes, [Component.ETCD])
        for node in planes:
            wait_healthy(installer, node, seconds=ETCD_SECONDS * len(planes))
        replace(Record.load(installer.dc), founded=True).save(installer.dc)
        return
    if not planes:
        return
    there = tuple(node for node in work.planes if work.seen[node.name].data)
    if not there:
        raise ClusterError(f"{', '.join(node.name for node in work.planes)}: no member of etcd has what it kept")
    alive = work.with_alive(Component.ETCD)
    # without them the others may have no leader
    installer.start([node for node in planes if node in there and node not in alive], [Component.ETCD])
    known = {member.url for member in Membership(installer=installer, there=there).wait_members() if not member.learner}
    members = [node for node in planes if node in there and peer_url(node) in known]
    for node in members:
        installer.start([node], [Component.ETCD])
        wait_healthy(installer, node)
    for node in planes:
        if node not in members:
            asked = tuple(other for other in there if other is not node and peer_url(other) in known)
            Membership(installer=installer, there=asked).admit(node, data=work.seen[node.name].data)


def _start_api_servers(work: Work) -> None:
    """Start API servers one after the other; when the cluster begins, the others at once after the first.

    The first one lays down what all begin with, which each would else try to, on a small host at the others' cost.
    """
    planes = work.own_planes
    for nodes in [[node] for node in planes] if work.record.joined else filter(None, (planes[:1], planes[1:])):
        work.installer.start(nodes, [Component.API_SERVER])
        for node in nodes:
            _wait_api_server(work, node, _API_SECONDS * len(nodes))


def _wait_api_server(work: Work, node: Node, seconds: float) -> None:
    def ready() -> None:
        try:
            work.installer.access.api([node]).request("GET", "/readyz")
        except ClusterError as error:
            raise NotYet(error.message) from error

    work.installer.wait(ready, node, Component.API_SERVER, what="to be ready", seconds=seconds)


def _apply(work: Work) -> None:
    api = work.installer.access.api(work.planes)
    for manifest in beginning(work):
        api.apply(manifest)
    for node in work.nodes:
        register(api, work.installer.cluster, node, uncordon=node.name in work.record.changing)


def _tell(work: Work) -> None:
    """Let the proxies know of the API servers that have come or gone."""
    work.installer.start(work.with_alive(Component.API_PROXY), _LOCAL)


def _start_controllers(work: Work) -> None:
    """Start those that run already first: the only ones that there were held no election, as two must."""
    running = [node for node in work.own_planes if node in work.with_alive(Component.CONTROLLER_MANAGER)]
    work.installer.start(running, _CONTROLLERS)
    work.installer.start([node for node in work.own_planes if node not in running], _CONTROLLERS)


def _start_nodes(work: Work) -> None:
    """Start all nodes at once; on a slow host as many at a time as it has cores, or they keep each other from it."""
    if not timers(work.installer.cluster.slowness).lean:
        work.installer.start(work.nodes, _NODE)
        return

    over = threading.Event()

    def begin(node: Node) -> None:
        if over.is_set():
            return
        try:
            work.installer.start([node], _NODE)
            _wait_ready(work, [node])
        except BaseException:
            over.set()
            raise

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(begin, work.nodes))
        finally:
            over.set()


def _wait_nodes(work: Work) -> None:
    _wait_ready(work, work.installer.cluster.nodes)


def _wait_ready(work: Work, nodes: Sequence[Node]) -> None:
    """Wait for as long as all nodes of the cluster may take that share the cores of a small host."""
    dc = work.installer.dc
    api = work.installer.access.api(work.planes)
    timeout = deadline(dc, _READY_SECONDS * len(work.installer.cluster.nodes))
    serving.wait_nodes_ready(dc, api, [node.name for node in nodes], timeout=timeout)


CHANGES: Final[tuple[Step, ...]] = (
    ("install files", _install),
    ("start what needs no API", _start_local),
    ("start etcd, and wait until it is healthy", _start_etcd),
    ("start the API servers, and wait until they are ready", _start_api_servers),
    ("apply what a cluster begins with", _apply),
    ("let the proxies know the API servers", _tell),
    ("start controllers and schedulers", _start_controllers),
    ("start the nodes", _start_nodes),
)
"""What makes the nodes what they should be."""

STEPS: Final[tuple[Step, ...]] = (*CHANGES, ("wait until all nodes are Ready", _wait_nodes))
