"""Upgrades in memory: what releases have, and an upgrader that dies when it is told to."""

from __future__ import annotations

from collections.abc import Mapping

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.installed import VERSIONS, digest, expanded, told
from vdc.testing.operator import FakeSite
from vdc.upgrade import paths
from vdc.upgrade.fresh import of_release
from vdc.upgrade.looking import Look, parse
from vdc.upgrade.operator.way import Operating
from vdc.upgrade.path import Method, UpgradePath
from vdc.upgrade.trial import Inside, upgrader
from vdc.upgrade.upgrader import Moment
from vdc.upgrade.way import Way
from vdc.upgrade.ways import way_of


class _Killed(BaseException):
    """Nobody catches it: like a SIGKILL it ends an upgrader where it is."""


class FakeUpgrades:
    """Implements `vdc.upgrade.trial.Upgrades` for the data centre `dc`."""

    def __init__(self, dc: FakeDataCenter) -> None:
        self._dc = dc
        self._site = FakeSite(dc)

    def path(self, name: str) -> UpgradePath:
        """Return a row of the paths."""
        return paths.path(name)

    def way(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath) -> Way:
        """Return how the nodes go a path."""
        if path.method is Method.WORKLOAD:
            return Operating(dc, self._site, path)
        return way_of(dc, cluster, path)

    def fresh(self, dc: DataCenter, release: str) -> Mapping[str, Look]:
        """Return what servers of a release tell that never lie."""
        installed = of_release(dc.topology, release)
        return {server.name: parse(told(VERSIONS[installed.release])) for server in installed.members}

    def executables(self, dc: DataCenter, release: str, paths: frozenset[str]) -> Mapping[str, str]:
        """Return the digests of all that is asked for."""
        del dc
        return {path: digest(path, expanded(VERSIONS[release])) for path in paths}

    def killed(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath, *, moment: Moment) -> str:
        """Go a path until the next boundary."""

        def boundary(node: str, step: str, now: Moment) -> None:
            if now is moment:
                raise _Killed(f"{moment}: {node}: {step}")

        try:
            upgrader(dc, cluster, path, self, boundary=boundary).run()
        except _Killed as death:
            return str(death)
        return ""

    def killed_inside(self, dc: DataCenter, cluster: Cluster, path: UpgradePath, inside: Inside) -> str:
        """Go a path until files are brought to a server: what its disk is left in is still plugged in then."""
        del inside  # where it is inside is known here

        def interrupt(server: str) -> None:
            raise _Killed(server)

        self._dc.world.interrupts.append(interrupt)
        try:
            upgrader(dc, cluster, path, self).run()
        except _Killed as death:
            dc.servers[str(death)].insert(path.target)
            return str(death)
        finally:
            self._dc.world.interrupts.remove(interrupt)
        return ""
