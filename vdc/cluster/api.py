"""What a deployer and a deployed cluster offer, as small protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from vdc.datacenter.api import DataCenter, Machine, Spawner
from vdc.model.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """A member of the cluster as it reports itself."""

    server: str
    version: str
    leader: bool
    healthy: bool


class Cluster(Protocol):
    """A deployed cluster of servers that keeps data."""

    @property
    def members(self) -> tuple[str, ...]:
        """The servers it runs on."""

    def state(self) -> tuple[MemberState, ...]:
        """Ask every member; one that does not answer is reported as not healthy, never left out."""

    def write(self, key: str, value: str, *, via: str | None = None) -> None:
        """Write through the member `via` (by default any); returns when acknowledged, else raises ClusterError."""

    def read(self, key: str, *, via: str | None = None) -> str | None:
        """Read linearizably through the member `via` (by default any); None if the key is absent."""

    def read_prefix(self, prefix: str, *, via: str | None = None) -> Mapping[str, str]:
        """Read linearizably every key that starts with `prefix`."""

    def wait_serving(self, *, members: Sequence[str] | None = None) -> None:
        """Wait for the facts: these members (by default all) healthy, one leader, and a write and a linearizable
        read through each. Raises WaitTimeout with the last reason.
        """

    def join(self, machine: Machine) -> None:
        """Configure and start the member on a machine whose root disk is new and whose data disk is kept."""


@runtime_checkable
class Replaces(Cluster, Protocol):
    """A cluster in which another server can take the place of one that is lost."""

    def replace(self, name: str) -> None:
        """Let another server of that name take the place of one that is lost, and wait until it serves.

        Raises ClusterError: the others cannot do that. WaitTimeout: it does not serve.
        """


@runtime_checkable
class SpeaksEtcd(Cluster, Protocol):
    """A cluster whose members serve etcd's API to clients outside: what `probe.etcd` needs to know of it."""

    @property
    def dc(self) -> DataCenter:
        """The data centre it runs in."""

    @property
    def client(self) -> Spawner:
        """The external client that the probe runs on."""

    @property
    def config_path(self) -> Path:
        """A `vdc.cluster.etcd_client.ClientConfig` file: the members' URLs, and the client's credentials."""


@runtime_checkable
class TellsVersion(Protocol):
    """A cluster whose members agree on the version that all of them speak, besides that of each."""

    def cluster_version(self) -> str:
        """Return the version that the cluster speaks: that of its oldest member, and it never goes back."""


class Deployer(Protocol):
    """Puts a cluster on a data centre. Deploying twice is a no-op."""

    @property
    def speaks(self) -> str:
        """The API of its clusters, which says what scenarios may ask for: "etcd" (`SpeaksEtcd`), "kubernetes"
        (`KubernetesCluster`), or an empty text: no more than `Cluster`.
        """

    def timers(self, dc: DataCenter) -> Mapping[str, str]:
        """Return which timers of its cluster there are not as by default, for the report: "etcd election" to
        "5 s (default 1 s)".
        """

    def check(self, topology: Topology) -> None:
        """Pass if a cluster can be deployed on a topology, before anything is built.

        Raises InputError, HostError: with what it lacks.
        """

    def deploy(self, dc: DataCenter, *, retain: bool = False) -> Cluster:
        """Deploy and wait until it serves; what failed may be taken back, unless `retain`."""

    def begun(self, dc: DataCenter) -> bool:
        """Return whether it has put anything on a data centre, be it half a cluster."""

    def attach(self, dc: DataCenter) -> Cluster:
        """Return the handle of a cluster that was deployed before."""
