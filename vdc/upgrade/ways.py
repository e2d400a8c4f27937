"""The ways there are, by the method of a path. To add one: its module here, and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.errors import InputError
from vdc.upgrade.drained import Drained
from vdc.upgrade.firmware import Flashing
from vdc.upgrade.hooked import Hooked
from vdc.upgrade.in_place import InPlace
from vdc.upgrade.operator.way import operating
from vdc.upgrade.path import Method, UpgradePath
from vdc.upgrade.reimage import Reimaging
from vdc.upgrade.routers import restarting
from vdc.upgrade.way import Way

WAYS: Mapping[Method, Callable[[DataCenter, Cluster, UpgradePath], Way]] = MappingProxyType(
    {
        Method.REIMAGE: Reimaging,
        Method.RESTART: restarting,
        Method.IN_PLACE: InPlace,
        Method.DRAIN: Drained,
        Method.FIRMWARE: Flashing,
        Method.WORKLOAD: operating,
    }
)


def way_of(dc: DataCenter, cluster: Cluster, path: UpgradePath) -> Way:
    """Return how the nodes of a data centre go a path: by its hooks, if it has any. Raises InputError: nobody knows."""
    if path.hooks:
        return Hooked(dc, cluster, path)
    if path.method not in WAYS:
        raise InputError(
            f"{path.name}: nobody knows how to upgrade by {path.method}", hint=f"there is {', '.join(sorted(WAYS))}"
        )
    return WAYS[path.method](dc, cluster, path)
