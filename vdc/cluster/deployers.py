"""The deployers there are, by the name a user gives. To add one: its module here, and a line below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from vdc.cluster.api import Cluster, Deployer
from vdc.cluster.etcd import EtcdDeployer
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.cluster.script import ScriptDeployer
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.model.topology import Topology

DEPLOYERS: Mapping[str, Callable[[], Deployer]] = MappingProxyType(
    {"etcd": EtcdDeployer, "kubernetes": KubernetesDeployer, "script": ScriptDeployer}
)


def default_deployer(topology: Topology | None) -> str:
    """Return the name of the deployer that a topology asks for, by the section it has for it; by default etcd."""
    for name in ("kubernetes", "script"):
        if getattr(topology, name, None) is not None:
            return name
    return "etcd"


def deployed(dc: DataCenter) -> Iterator[Cluster]:
    """Yield the clusters that were deployed on a data centre."""
    for deployer in DEPLOYERS.values():
        with suppress(ClusterError):
            yield deployer().attach(dc)
