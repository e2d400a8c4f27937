"""One pytest run on one data centre: it comes up, scenarios run, it goes down, and the report tells of it."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from vdc.cluster.api import Cluster, Deployer
from vdc.cluster.deployers import DEPLOYERS
from vdc.datacenter import lifecycle
from vdc.datacenter.api import DataCenter
from vdc.datacenter.live import HISTORY
from vdc.errors import DirtyError, InputError, VdcError
from vdc.history import Recorder
from vdc.host.accelerator import cached
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.pytest_plugin import STARTED
from vdc.pytest_plugin.artifacts import collect
from vdc.report import RunResult, ScenarioResult
from vdc.settings import Settings
from vdc.steps import Listener, Steps

STARTED_VARIABLE = "VDC_TEST_STARTED"
"""The environment variable in which `vdc test` says when it began: seconds of the monotonic clock, as text."""

_USAGE = "scenarios need a data centre: --topology FILE brings one up, --dc NAME uses a running one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Without a topology, `name` is a running data centre.

    `started` is when all began, in seconds of the monotonic clock.
    """

    topology: Path | None
    name: str | None
    keep: bool
    run_directory: Path | None
    releases: tuple[str, ...]
    deployer: str = "etcd"
    started: float = field(default_factory=time.monotonic)


def options(config: pytest.Config, items: Iterable[pytest.Item]) -> Options:
    """Return the options; raises pytest.UsageError where they don't say which data centre is meant, or name a
    deployer that there is not.
    """
    topology, running = config.getoption("--topology"), config.getoption("--dc")
    if (topology is None) == (running is None):
        raise pytest.UsageError(f"{_USAGE}; give one of them")
    deployer = config.getoption("--deployer")
    if deployer not in DEPLOYERS:
        raise pytest.UsageError(f"no deployer {deployer!r}; there is {', '.join(sorted(DEPLOYERS))}")
    marks = (mark for item in items for mark in item.iter_markers("releases"))
    return Options(
        topology=topology,
        name=running or config.getoption("--name"),
        keep=config.getoption("--keep"),
        run_directory=config.getoption("--run-dir"),
        releases=tuple(sorted({name for mark in marks for name in mark.args})),
        deployer=deployer,
        started=started(config),
    )


def started(config: pytest.Config) -> float:
    """Return when all began: `vdc test` where that runs pytest, else pytest. Monotonic seconds.

    Raises pytest.UsageError where the environment variable holds something else.
    """
    told = os.environ.get(STARTED_VARIABLE)
    try:
        return config.stash[STARTED] if told is None else float(told)
    except ValueError:
        raise pytest.UsageError(f"{STARTED_VARIABLE}={told!r} is not a time of the monotonic clock") from None


class Lifecycle(Protocol):
    """What brings data centres up and down: `vdc.datacenter.lifecycle`, or a test's own."""

    def prepare(
        self, topology: Topology, name: str | None, settings: Settings, steps: Steps, *, releases: Sequence[str] = ()
    ) -> Plan:
        """Return the plan; everything that it needs of the host is there then."""

    def up(
        self, plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False
    ) -> DataCenter:
        """Build it; if `tied`, it is a leftover once this process is dead."""

    def attach(self, name: str, settings: Settings, steps: Steps) -> DataCenter:
        """Return the handle of what was built, or of what there is of it."""

    def down(self, name: str, settings: Settings, steps: Steps) -> None:
        """Remove it."""


class Session:
    """Holds what the fixtures share and what the report needs."""

    def __init__(
        self,
        chosen: Options,
        listener: Listener,
        *,
        deployers: Mapping[str, Callable[[], Deployer]] = DEPLOYERS,
        life: Lifecycle = lifecycle,
    ) -> None:
        self.results: dict[str, ScenarioResult] = {}
        self.dc: DataCenter | None = None
        self._options = chosen
        self._listener = listener
        self._deployers = deployers
        self._life = life
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
            return self._deployers[self._options.deployer]().deploy(dc)

    def finish(self) -> None:
        """Note how long all of it took; what comes after is only the report."""
        self._durations["total"] = time.monotonic() - self._options.started

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
        return self._life.attach(self._options.name, self._settings, steps)

    def close(self, dc: DataCenter, steps: Steps) -> None:
        """Take down what was brought up, unless it is to be kept."""
        if self._options.topology is not None and not self._options.keep:
            with self._timed("down"):
                self._life.down(dc.name, self._settings, steps)

    def _up(self, file: Path, steps: Steps) -> DataCenter:
        topology, chosen = expand(load(file)), self._options
        plan = self._life.prepare(topology, chosen.name, self._settings, steps, releases=chosen.releases)
        # from the very start, because `vdc test` has prepared the same already, and that is what takes long
        self._durations["prepare"] = time.monotonic() - chosen.started
        try:
            dc = self._life.up(plan, self._settings, steps, retain=True, tied=not self._options.keep)
        except (InputError, DirtyError):
            raise  # it is somebody else's
        except BaseException as error:
            self._give_up(plan.instance, steps, error)
            raise
        self._durations |= lifecycle.seconds(dc)
        return dc

    def _give_up(self, name: str, steps: Steps, error: BaseException) -> None:
        """Gather what tells why a data centre did not come up, then take it down, unless it is to be kept."""
        try:
            if isinstance(error, Exception):
                folder = self.run_directory / "artifacts" / "bring-up"
                collect(self._life.attach(name, self._settings, steps), folder)
                error.add_note(f"its consoles and logs are in {folder}")
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"not all of its consoles and logs could be gathered: {second}")
        if self._options.keep:
            return
        try:
            self._life.down(name, self._settings, steps)
            error.add_note(f"{name} was taken down after that")
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"taking it down failed too: {second}; `vdc down {name}` tries again")

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
