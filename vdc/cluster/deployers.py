"""The deployers there are, by the name a user gives. To add one: its module here, and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vdc.cluster.api import Deployer
from vdc.cluster.etcd import EtcdDeployer

DEPLOYERS: Mapping[str, Callable[[], Deployer]] = MappingProxyType({"etcd": EtcdDeployer})
