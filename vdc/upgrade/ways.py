"""The ways there are, by the method of a path. To add one: its module here, and a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.errors import InputError
from vdc.upgrade.drained import Drained
from vdc.upgrade.firmware import Flashing
from vdc.upgrade.hooked import Hooked
from vdc.upgrade.in_place import InPlace
from vdc.upgrade.operator.way import operating
from vdc.upgrade.parts import rounds_of
from vdc.upgrade.path import Method, UpgradePath
from vdc.upgrade.reimage import Reimaging
from vdc.upgrade.rounds import Lap, Rounds
from vdc.upgrade.routers import Restarting
from vdc.upgrade.way import Way


def in_place(dc: DataCenter, cluster: Cluster, path: UpgradePath) -> Way:
    """Return how components are upgraded in place, in as many rounds as they take. Raises InputError."""
    return _together([Lap(work.name, InPlace(dc, cluster, path, work)) for work in rounds_of(path)])


def drained(dc: DataCenter, cluster: Cluster, path: UpgradePath) -> Way:
    """Return the same, with nodes that their pods were moved away from in the round that is for all nodes.

    Raises InputError: there are no pods to move away, or there is a component that nobody can restart.
    """
    if not isinstance(cluster, KubernetesCluster):
        raise InputError(f"{path.name}: only nodes of a Kubernetes are drained, and this is {path.cluster}")
    *before, last = rounds_of(path)
    laps = [Lap(work.name, InPlace(dc, cluster, path, work)) for work in before]
    return _together([*laps, Lap(last.name, Drained(cluster, InPlace(dc, cluster, path, last)))])


def _together(laps: Sequence[Lap]) -> Way:
    return laps[0].way if len(laps) == 1 else Rounds(*laps)


OF_ROUTERS: Mapping[Method, Callable[[DataCenter, UpgradePath], Way]] = MappingProxyType({Method.RESTART: Restarting})
"""Those of routers, whatever runs on servers."""

WAYS: Mapping[Method, Callable[[DataCenter, Cluster, UpgradePath], Way]] = MappingProxyType(
    {
        Method.REIMAGE: Reimaging,
        Method.IN_PLACE: in_place,
        Method.DRAIN: drained,
        Method.FIRMWARE: Flashing,
        Method.WORKLOAD: operating,
    }
)


def way_of(dc: DataCenter, cluster: Cluster | None, path: UpgradePath) -> Way:
    """Return how the nodes of a data centre go a path: by its hooks, if it has any. Raises InputError: nobody knows."""
    if path.method in OF_ROUTERS and not path.hooks:
        return OF_ROUTERS[path.method](dc, path)
    if cluster is None:
        raise InputError(f"{path.name}: {dc.name} has no cluster", hint=f"vdc deploy {dc.name}")
    if path.hooks:
        return Hooked(dc, cluster, path)
    if path.method not in WAYS:
        raise InputError(
            f"{path.name}: nobody knows how to upgrade by {path.method}",
            hint=f"there is {', '.join(sorted([*OF_ROUTERS, *WAYS]))}",
        )
    return WAYS[path.method](dc, cluster, path)
