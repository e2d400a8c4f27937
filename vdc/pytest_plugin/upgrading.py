"""The fixture `upgrades`: what scenarios of upgrades must know besides the data centre."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial

from vdc.cluster.api import Cluster, Deployer
from vdc.datacenter.api import DataCenter
from vdc.errors import CommandError
from vdc.observe.sampler import Process
from vdc.plan.images import IMAGES
from vdc.settings import Settings
from vdc.shell import run, start
from vdc.upgrade import paths
from vdc.upgrade.fresh import fresh
from vdc.upgrade.journal import FILE, Journal
from vdc.upgrade.looking import Look
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.running import digests
from vdc.upgrade.trial import Inside
from vdc.upgrade.upgrader import DIE, Moment
from vdc.upgrade.way import Way
from vdc.upgrade.ways import way_of
from vdc.wait import wait_for

_SECONDS = 900.0
_END = 500  # characters of what a process said


class LiveUpgrades:
    """Implements `vdc.upgrade.trial.Upgrades` on this host."""

    def __init__(self, settings: Settings, deployer: Callable[[], Deployer]) -> None:
        self._settings = settings
        self._deployer = deployer

    def path(self, name: str) -> UpgradePath:
        """Return a row of the paths."""
        return paths.path(name)

    def way(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath) -> Way:
        """Return how the nodes go a path."""
        return way_of(dc, cluster, path)

    def fresh(self, dc: DataCenter, release: str) -> Mapping[str, Look]:
        """Return what a fresh install tells; it is made once, and kept in the cache."""
        return fresh(
            dc.topology,
            release,
            name=dc.name,
            settings=self._settings,
            steps=dc.steps,
            deployer=self._deployer,
        )

    def executables(self, dc: DataCenter, release: str, paths: frozenset[str]) -> Mapping[str, str]:
        """Return what the image of a release has."""
        del dc
        return digests(IMAGES[release].root(self._settings.cache_dir), paths)

    def killed(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath, *, moment: Moment) -> str:
        """Have a process of its own go a path, and kill itself."""
        del cluster
        journal = Journal(dc.run_directory / FILE)
        argv = _upgrade(dc, path)
        done = run(argv, timeout=_SECONDS, check=False, env={DIE: moment})
        if done.status == -signal.SIGKILL:
            return f"{moment} after {journal.last()}"
        if done.status != 0:
            raise CommandError("host", argv, done.status, done.stderr or done.stdout)
        return ""

    def killed_inside(self, dc: DataCenter, cluster: Cluster, path: UpgradePath, inside: Inside) -> str:
        """Have a process of its own go a path, and kill it. What it said is in the run directory."""
        del cluster
        argv = _upgrade(dc, path)
        log = dc.run_directory / "killed-upgrade.log"
        with log.open("wb") as output:
            process = start(argv, output=output)
            try:
                found = wait_for(partial(_inside, process, inside), what="files to be brought", timeout=_SECONDS)
            finally:
                process.kill()
                process.wait()
        if not found and process.returncode != 0:
            raise CommandError("host", argv, process.returncode, log.read_text(encoding="utf-8")[-_END:])
        return found


def _upgrade(dc: DataCenter, path: UpgradePath) -> list[str]:
    return [sys.executable, "-m", "vdc.cli", "upgrade", "run", dc.name, path.name]


def _inside(process: Process, inside: Inside) -> str:
    """Return where a process is at work, or an empty text if it has ended. Raises NotYet."""
    return "" if process.poll() is not None else inside()
