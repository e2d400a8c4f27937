"""What a scenario may ask of a Kubernetes cluster: a small protocol, which `vdc.testing` implements in memory.

Objects are what the Kubernetes API has: mappings of JSON, with the API's own field names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from vdc.cluster.api import Replaces
from vdc.cluster.kubernetes.trust import Trust
from vdc.datacenter.api import DataCenter, Machine
from vdc.errors import ClusterError

Manifest = Mapping[str, Any]
"""An object of the Kubernetes API."""


RECORDED_SYSCTLS = tuple(f"net.ipv4.conf.*.{name}" for name in ("arp_ignore", "arp_announce", "rp_filter"))
"""Kernel settings that kube-proxy and CNI plugins have changed behind an operator's back, of every interface."""


class Component(StrEnum):
    """What runs on a node, by the name of its systemd unit."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KUBELET = "kubelet"
    KUBE_PROXY = "kube-proxy"
    RUNTIME = "containerd"
    API_PROXY = "haproxy"
    DNS = "dnsmasq"
    AGENT = "vdc-agent"


class Caller(StrEnum):
    """As whom the cluster is asked."""

    ADMIN = "its administrator"
    NOBODY = "nobody, without any credential"
    STRANGER = "one with a certificate for the administrator, of a foreign authority"
    POD = "the account that pods have"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node as the API has it."""

    name: str
    ready: bool
    version: str
    """Of its kubelet, as "v1.20.2"."""
    zone: str
    """Its `topology.kubernetes.io/zone`: "rack0", …"""
    role: str
    """Its role in the topology: `cp`, `cs`, `ss`, …"""
    control_plane: bool
    pod_blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod as the API has it. `address` is empty until it has one, `node` until it is scheduled."""

    namespace: str
    name: str
    uid: str
    node: str
    address: str
    ready: bool
    restarts: int
    waiting: str = ""
    """Why the scheduler has found no node for it; empty where it has, or has not looked yet."""
    app: str = ""
    """Its label `app`."""
    owner: str = ""
    """The kind of what made it: "ReplicaSet", "StatefulSet", "DaemonSet", …; "Node" of a static pod."""
    finished: bool = False
    leaving: bool = False
    """It was asked to go, and has not gone yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer over HTTP. A connection that was refused, reset or timed out is a ClusterError instead."""

    status: int
    body: str


class DisruptionError(ClusterError):
    """A pod may not be evicted now: a disruption budget does not allow it."""


@runtime_checkable
class KubernetesCluster(Replaces, Protocol):
    """A deployed Kubernetes. `members` are its control-plane nodes.

    Every question goes from a client outside, over the fabric, to an API server that answers.
    Raises ClusterError where the cluster refuses or does not answer, WaitTimeout where a fact does not come true.
    """

    @property
    def dc(self) -> DataCenter:
        """The data centre it runs in."""

    @property
    def pace(self) -> float:
        """The slowness that its timers follow from: of the host it was deployed on."""

    @property
    def trust(self) -> Trust:
        """Whom its administrator believes, and what shows that it is them."""

    @property
    def node_names(self) -> tuple[str, ...]:
        """The servers that are to be its nodes, control plane first."""

    def nodes(self) -> tuple[NodeState, ...]:
        """Return the nodes that the API has."""

    def wait_nodes_ready(self, names: Sequence[str] | None = None) -> None:
        """Wait until these nodes (by default all that there are to be) are Ready."""

    def apply(self, *manifests: Manifest) -> None:
        """Create objects; of those that are there already, replace what the manifest has (server-side or merge)."""

    def delete(self, *manifests: Manifest, grace: int | None = None) -> None:
        """Delete objects, and wait until they are gone; those that are not there are fine."""

    def get(self, kind: str, name: str, *, namespace: str = "") -> Manifest:
        """Return an object; `kind` is as in manifests, "Service" or "apps/v1 Deployment". Raises ClusterError."""

    def list(self, kind: str, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        """Return the objects of a kind, in one namespace or in all."""

    def pods(self, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """Return pods."""

    def evict(self, pod: Pod) -> None:
        """Ask for a pod to leave its node, as a drain does; one that is gone, or going, is fine. Does not wait.

        Raises DisruptionError: a disruption budget does not allow it now.
        """

    def run_in(self, pod: Pod, argv: Sequence[str], *, timeout: float = 30.0) -> str:
        """Run a command in a pod (`exec`) and return what it prints; raises ClusterError if it fails."""

    def logs(self, pod: Pod) -> str:
        """Return what a pod has logged."""

    def fetch(self, url: str, *, source: Pod | str, timeout: float = 10.0) -> Answer:
        """Get a URL over a new connection, from inside a pod or from the client outside of that name."""

    def ask_api(
        self, path: str, *, via: str | None = None, proxied: bool = False, caller: Caller = Caller.ADMIN
    ) -> Answer:
        """Get a path of the API.

        `via` is a server: its API server, or with `proxied` the reverse proxy that it has for its own kubelet and
        pods, which chooses one of all API servers. Any status is an answer.
        """

    def ask_kubelet(self, node: str, path: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Get a path of a node's kubelet; the administrator does so with the credential that API servers have."""

    def ask_etcd(self, server: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Get the health of the member of etcd on a control-plane node, over the port that API servers use."""

    def running(self, component: Component, server: str) -> bool:
        """Return whether a component runs on a server, as its systemd says."""

    def stop(self, component: Component, server: str) -> None:
        """Stop a component on a server; it stays stopped until `start`."""

    def start(self, component: Component, server: str) -> None:
        """Start a component on a server."""

    def sysctls(self, server: str, names: Sequence[str]) -> Mapping[str, str]:
        """Return kernel settings of a server; names may have `*` for an interface."""

    def first_sysctls(self, server: str) -> Mapping[str, str]:
        """Return `RECORDED_SYSCTLS` of a server as they were before the first component of this root disk started."""

    def join(self, machine: Machine) -> None:
        """Make a server a node, or a node again: it may be new, reimaged, or half-way there. Does not wait."""

    def remove(self, name: str) -> None:
        """Drain a node, take it out of the cluster (a control-plane node out of etcd, too), and stop all on it."""

    def promote(self, name: str) -> None:
        """Make a worker a control-plane node, and wait until it serves."""
