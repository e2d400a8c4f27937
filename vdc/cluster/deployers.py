"""The deployers there are, by the name a user gives. To add one: its module here, and a line below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from vdc.cluster.api import Cluster, Deployer
from vdc.cluster.etcd import EtcdDeployer
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError

DEPLOYERS: Mapping[str, Callable[[], Deployer]] = MappingProxyType({"etcd": EtcdDeployer})


def deployed(dc: DataCenter) -> Iterator[Cluster]:
    """Yield the clusters that were deployed on a data centre."""
    for deployer in DEPLOYERS.values():
        with suppress(ClusterError):
            yield deployer().attach(dc)
