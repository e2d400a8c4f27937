"""One pytest run on one data centre: it comes up, scenarios run, it goes down, and the report tells of it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from vdc.cluster.api import Cluster
from vdc.cluster.deployers import DEPLOYERS
from vdc.datacenter import lifecycle
from vdc.datacenter.api import DataCenter
from vdc.datacenter.live import HISTORY, UP
from vdc.errors import VdcError
from vdc.history import Recorder
from vdc.host import images
from vdc.host.accelerator import cached
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.report import RunResult, ScenarioResult
from vdc.settings import Settings
from vdc.steps import Listener, Steps

_USAGE = "scenarios need a data centre: --topology FILE brings one up, --dc NAME uses a running one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Without a topology, `name` is a running data centre."""

    topology: Path | None
    name: str | None
    keep: bool
    run_directory: Path | None
    releases: tuple[str, ...]


def options(config: pytest.Config, items: Iterable[pytest.Item]) -> Options:
    """Return the options; raises pytest.UsageError where they don't say which data centre is meant."""
    topology, running = config.getoption("--topology"), config.getoption("--dc")
    if (topology is None) == (running is None):
        raise pytest.UsageError(f"{_USAGE}; give one of them")
    marks = (mark for item in items for mark in item.iter_markers("releases"))
    return Options(
        topology=topology,
        name=running or config.getoption("--name"),
        keep=config.getoption("--keep"),
        run_directory=config.getoption("--run-dir"),
        releases=tuple(sorted({name for mark in marks for name in mark.args})),
    )


class Session:
    """Holds what the fixtures share and what the report needs."""

    def __init__(self, chosen: Options, listener: Listener) -> None:
        self.results: dict[str, ScenarioResult] = {}
        self.dc: DataCenter | None = None
        self._options = chosen
        self._listener = listener
        self._settings = Settings.from_environment()
        self._durations: dict[str, float] = {}
        self._before: Mapping[str, Mapping[str, str]] = {}
        self._after: Mapping[str, Mapping[str, str]] = {}

    @property
    def run_directory(self) -> Path:
        """Where the report goes."""
        chosen = self._options.run_directory
        name = self._options.name or (self._options.topology or Path("run")).stem
        return (Path("runs") / name if chosen is None else chosen).absolute()

    @contextmanager
    def data_center(self) -> Iterator[DataCenter]:
        """Offer the data centre; one that was brought up for this run is taken down again, unless kept."""
        self.run_directory.mkdir(parents=True, exist_ok=True)
        steps = self._steps()
        self.dc = dc = self.open(steps)
        before = dc.recorder.path.stat().st_size
        # From here on everything happens on one time line, which probes and checkers read.
        steps.recorder = dc.recorder
        try:
            self._before = _versions(dc)
            with self._timed("scenarios"):
                yield dc
            self._after = _versions(dc)
        finally:
            steps.recorder = None
            _append(dc.recorder.path, before, self.run_directory / HISTORY)
            self.close(dc, steps)

    def deploy(self, dc: DataCenter) -> Cluster:
        """Deploy the cluster and return it; the phase is timed."""
        with self._timed("deploy"):
            return DEPLOYERS["etcd"]().deploy(dc)

    def result(self) -> RunResult:
        """Return the result of the run so far."""
        acceleration = cached(self._settings)
        dc = self.dc
        return RunResult(
            name=dc.name if dc else self.run_directory.name,
            topology=dc.topology.name if dc else str(self._options.topology),
            host=_host(),
            accelerator=acceleration.kind if acceleration else "none",
            slowness=dc.slowness if dc else 1.0,
            scenarios=tuple(self.results.values()),
            durations=self._durations,
            versions_before=self._before,
            versions_after=self._after,
        )

    def open(self, steps: Steps) -> DataCenter:
        """Return the data centre that the options name."""
        if self._options.topology is not None:
            return self._up(self._options.topology, steps)
        assert self._options.name is not None
        return lifecycle.attach(self._options.name, self._settings, steps)

    def close(self, dc: DataCenter, steps: Steps) -> None:
        """Take down what was brought up, unless it is to be kept."""
        if self._options.topology is not None and not self._options.keep:
            with self._timed("down"):
                lifecycle.down(dc.name, self._settings, steps)

    def _up(self, file: Path, steps: Steps) -> DataCenter:
        topology = expand(load(file))
        with self._timed("prepare"):
            plan = lifecycle.prepare(topology, self._options.name, self._settings, steps)
            for release in self._options.releases if topology.servers else ():
                images.ensure(release, self._settings, steps)
        dc = lifecycle.up(plan, self._settings, steps)
        self._durations |= json.loads((dc.run_directory / UP).read_text(encoding="utf-8"))
        return dc

    def _steps(self) -> Steps:
        recorder = Recorder(self.run_directory / HISTORY)
        recorder.start()
        return Steps(recorder, (self._listener,))

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._durations[phase] = time.monotonic() - start


def _versions(dc: DataCenter) -> Mapping[str, Mapping[str, str]]:
    """Return what runs on each server that answers: the report must be written on bad days too."""
    found = {}
    for name, machine in dc.servers.items():
        try:
            found[name] = machine.versions()
        except VdcError as error:
            found[name] = {"os": f"no answer: {error.message.splitlines()[0]}"}
    return found


def _append(source: Path, offset: int, target: Path) -> None:
    """Copy what a history gained since it was `offset` bytes long; its own directory may go."""
    with source.open("rb") as old, target.open("ab") as new:
        old.seek(offset)
        shutil.copyfileobj(old, new)


def _host() -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, {memory:.0f} GiB"
