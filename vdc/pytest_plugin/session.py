"""What scenarios of all modules share: a data centre that comes up, is put back for modules, and goes down."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from vdc.cluster import deployed, deploying
from vdc.cluster.api import Cluster, Deployer
from vdc.cluster.deployed import Store
from vdc.cluster.deployers import DEPLOYERS
from vdc.datacenter import checkpoint, fork, lifecycle
from vdc.datacenter.api import DataCenter
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import HISTORY, LiveDataCenter
from vdc.datacenter.ownership import tie
from vdc.errors import CommandError, DirtyError, InputError
from vdc.evidence.known import redacted
from vdc.faults.lease import heal_orphans
from vdc.faults.leftovers import expect_nothing_left
from vdc.graph import draw
from vdc.history import Recorder
from vdc.host import preflight
from vdc.host.accelerator import cached
from vdc.host.uplink import default_mtu
from vdc.model.load import read_topology
from vdc.observe.inside import Inside
from vdc.observe.logs import Logs
from vdc.plan.plan import Plan
from vdc.plan.timers import described
from vdc.pytest_plugin import old as definition
from vdc.pytest_plugin.artifacts import collect
from vdc.pytest_plugin.life import Fork, Lifecycle
from vdc.pytest_plugin.options import Options, instance_name
from vdc.pytest_plugin.phases import Phases
from vdc.pytest_plugin.upgrading import LiveUpgrades
from vdc.pytest_plugin.versions import versions
from vdc.pytest_plugin.vigil import Vigil, witnessed
from vdc.report import FIRST_SCENARIO, FROM_CHECKPOINT, FROM_NOTHING, STANDARD_SUITE, RunResult
from vdc.settings import Settings
from vdc.steps import Listener, Steps

SHARING: Final = "standard"
"""The suite whose modules share one data centre while all their tests pass: nothing of an ordinary day stays."""

_QUEUE_SECONDS = "1800"  # a worker for which there is no room waits until another one is done


class Session:
    """Holds the data centre that scenarios run on, and what the report must know of it.

    `dc` is the one of the latest module, `culprit` the test that left it dirty.
    """

    def __init__(
        self,
        chosen: Options,
        listener: Listener,
        *,
        deployers: Mapping[str, Callable[[], Deployer]] = DEPLOYERS,
        life: Lifecycle = lifecycle,
        fork: Fork = fork.fork,
        store: Store = checkpoint,
    ) -> None:
        self.dc: DataCenter | None = None
        self.culprit = ""
        self._vigil: Vigil | None = None
        self._inside: Inside | None = None
        self._past: list[Vigil] = []
        self._suite = ""
        self._spoilt = False
        self._options = chosen
        self._deployers = deployers
        self._life = life
        self._fork = fork
        self._store = store
        patience = {"VDC_ADMISSION_WAIT": _QUEUE_SECONDS} if chosen.worker else {}
        self._settings = Settings.from_environment(patience | os.environ)
        self._history = chosen.run_directory / (f"{chosen.worker}-{HISTORY}" if chosen.worker else HISTORY)
        self._recorder = Recorder(self._history)
        self._steps = Steps(self._recorder, (listener,))
        self._plan: Plan | None = None
        self._place: Path | None = None
        self._ours = False
        self._in_module = False
        self._phases = Phases()
        self._timers: Mapping[str, str] = {}
        self._before: Mapping[str, Mapping[str, str]] = {}
        self._after: dict[str, Mapping[str, str]] = {}

    @property
    def run_directory(self) -> Path:
        """Where the report goes."""
        return self._options.run_directory

    @property
    def upgrades(self) -> LiveUpgrades:
        """What scenarios of upgrades must know besides the data centre."""
        return LiveUpgrades(self._settings, self._deployer)

    @property
    def goes(self) -> bool:
        """Whether the data centre is taken down at the end: it was brought up for this run, and is not to be kept."""
        return self._ours and not self._options.keep

    @contextmanager
    def module(self, suite: str = "") -> Iterator[DataCenter]:
        """Offer the data centre to the scenarios of a module: as it was deployed, or with --dc as it is.

        `suite` is the one that all its tests belong to, if they do. A module of `SHARING` takes over the data centre
        of the module before it, if that was of the same suite and nothing has called `spoil` since.
        """
        if self.dc is None:
            self.run_directory.mkdir(parents=True, exist_ok=True)
            self._recorder.start()
            self._recorder.record("note", "harness", name="seed", seed=self._options.seed)
        with self._phases.timed(STANDARD_SUITE) if suite == SHARING else nullcontext():
            yield from self._module(suite)

    def _module(self, suite: str) -> Iterator[DataCenter]:
        shared = self.dc if suite == self._suite == SHARING and not self._spoilt else None
        self.dc, self._suite, self._spoilt = None, suite, False
        self.dc = dc = shared if shared is not None and shared.dirty() is None else self._open()
        before = dc.recorder.path.stat().st_size
        as_it_was = shared is dc or self._options.topology is None
        logs = Logs.now(dc.run_directory) if as_it_was else Logs(dc.run_directory, {})
        vigil = self._vigil
        if vigil is None or vigil.dc is not dc:
            self._tell_inside(dc.recorder)  # with --dc: of the modules before, which shared what is still running
            vigil, self._inside = Vigil(dc, logs), Inside(dc)
            self._vigil = vigil
        # From here on everything happens on one time line, which probes and checkers read.
        self._steps.recorder, self._in_module = dc.recorder, True
        try:
            self.expect_ready()
            vigil.expect_clean("before its first scenario")
            self._before = self._before or versions(dc)
            self._timers = self._described(dc)
            self._phases.first(FIRST_SCENARIO, self._options.started)
            with self._phases.timed("scenarios"), witnessed(dc):
                yield dc
            if dc.dirty() is None:
                expect_nothing_left(dc)
            if suite != SHARING:  # an ordinary day changes no version
                self._after |= {name: has for name, has in versions(dc).items() if has != self._before[name]}
        finally:
            self._steps.recorder, self._in_module = self._recorder, False
            dc.recorder.write(redacted(dc, logs.since()))
            if self._spoilt or suite != SHARING:  # a module that shares it may follow
                self._tell_inside(dc.recorder)
            _append(dc.recorder.path, before, self._history)
        vigil.expect_clean("outside of scenarios")

    @property
    def vigil(self) -> Vigil:
        """Who watches the consoles of the data centre of the module that runs."""
        assert self._vigil is not None, "no module has begun"
        return self._vigil

    def spoil(self) -> None:
        """Let the module that runs be the last one on its data centre: a test of it did not pass."""
        self._spoilt = True

    def free(self) -> None:
        """Take down what was brought up, between modules: another process of this run may wait for its room."""
        if self._plan is not None and self._ours:
            self._clear(self._plan.instance)

    def cluster(self, dc: DataCenter) -> Cluster:
        """Return the cluster; with --dc it is deployed, unless it is there already."""
        if self._options.topology is not None and self._options.deploys:
            return self._deployer().attach(dc)
        with self._phases.timed("deploy"):
            # another process may be at it, and somebody's own data centre is left to look into
            what = f"vdc test on {dc.name}"
            return deploying.deploy(dc, self._options.deployer, self._deployers, what=what, retain=True)

    def expect_ready(self) -> None:
        """Pass if the data centre of the module that runs, if any does, is fit for a scenario.

        Raises:
            DirtyError: an earlier scenario left it broken.
            HostError: the disk is full.
        """
        if self.dc is None or not self._in_module:
            return
        if (reason := self.dc.dirty()) is not None:
            raise DirtyError(f"the data centre is dirty since {self.culprit or 'before this run'}: {reason}")
        preflight.expect_room(self._settings)

    def close(self) -> None:
        """Take down what was brought up, unless it is to be kept."""
        self._tell_inside(self._recorder)
        if self._plan is not None and self._ours and not self._options.keep:
            with self._phases.timed("down"):
                self._clear(self._plan.instance)
            for vigil in self._past:
                vigil.expect_clean("after the last scenario")

    def result(self) -> RunResult:
        """Return what the report must know besides scenarios."""
        acceleration = cached(self._settings)
        dc = self.dc
        return RunResult(
            name=dc.name if dc else self.run_directory.name,
            topology=dc.topology.name if dc else str(self._options.topology),
            host=_host(),
            accelerator=acceleration.kind if acceleration else "none",
            slowness=dc.slowness if dc else 1.0,
            scenarios=(),
            durations=self._phases.told(),
            versions_before=self._before,
            versions_after=self._after,
            cluster=self._options.deployer if self._options.deploys else "",
            timers=self._timers,
            deselected=self._options.left_out,
            picture=draw(dc.topology, "svg", name=dc.name) if dc else "",
            seed=self._options.seed,
        )

    def _open(self) -> DataCenter:
        if self._options.topology is None:
            assert self._options.name is not None
            dc = self._life.attach(self._options.name, self._settings, self._steps)
            heal_orphans(dc)  # of a harness that died
            expect_nothing_left(dc)
            return dc
        plan = self._plan = self._plan or self._prepare(self._options.topology)
        self.culprit = ""
        with self._phases.timed("deployed again" if self._ours else "deployed"):
            try:
                return self._start(plan)
            except (InputError, DirtyError):
                raise  # it is somebody else's
            except BaseException as error:
                self._give_up(plan.instance, error)
                raise

    def _prepare(self, file: Path) -> Plan:
        topology, chosen = read_topology(file, self._options.sets, default_mtu=default_mtu()), self._options
        if chosen.deploys:
            self._deployer().check(topology)
        plan = self._life.prepare(
            topology,
            instance_name(chosen.name or topology.name, chosen.worker),
            self._settings,
            self._steps,
            releases=chosen.releases,
            boot=None if chosen.checkpoint else "cold",
        )
        # a fabric alone is as soon built as restored, and not every guest can be frozen
        if chosen.checkpoint and topology.servers and not chosen.old and not checkpoint.unfreezable(topology):
            self._place = deployed.place(plan, chosen.deployer if chosen.deploys else None, self._settings)
        self._phases.note({"prepare": time.monotonic() - chosen.started})
        return plan

    def _start(self, plan: Plan) -> DataCenter:
        if self._ours:  # else it is somebody else's, or what a crash left
            self._clear(plan.instance)
        if self._options.old is not None:
            return self._build_old(plan, self._options.old)
        build, wake = partial(self._build, plan), partial(self._wake, plan.instance)
        if self._place is None:
            return build()
        return deployed.start(self._place, self._steps, build=build, wake=wake, store=self._store)

    def _build(self, plan: Plan) -> LiveDataCenter:
        start = time.monotonic()
        dc = self._life.up(plan, self._settings, self._steps, retain=True, tied=not self._options.keep)
        self._ours = True
        self._phases.note(lifecycle.seconds(dc))
        if self._options.deploys:
            with self._phases.timed("deploy"):
                self._deployer().deploy(dc, retain=True)
            self._phases.slowest(FROM_NOTHING, start)
        return dc

    def _build_old(self, plan: Plan, old: str) -> DataCenter:
        """Have the code of then bring it up and deploy it, and attach to that."""
        chosen = self._options
        assert chosen.topology is not None
        tree = definition.checkout(old, self._settings)
        if plan.instance in self._life.instances(self._settings):
            raise DirtyError(
                f"{plan.instance} is there, or what is left of it", hint=f"vdc down {plan.instance}, or another --name"
            )
        try:
            definition.deploy(
                tree,
                chosen.topology,
                plan.instance,
                sets=chosen.sets,
                deploys=chosen.deploys,
                steps=self._steps,
                log=self.run_directory / "old.log",
            )
        except CommandError as error:  # the code of then takes down what it cannot finish; nothing here is ours
            raise DirtyError(f"{plan.instance}: the definition of then failed: {error.message}") from error
        self._ours = True
        dc = self._life.attach(plan.instance, self._settings, self._steps)
        if not chosen.keep:
            tie(dc.run_directory)
        return dc

    def _wake(self, name: str, found: Checkpoint) -> LiveDataCenter:
        start = time.monotonic()
        dc = self._fork(found, name, self._settings, self._steps, retain=True, tied=not self._options.keep)
        self._ours = True
        if self._options.deploys:
            with self._steps.step("wait until the cluster serves"):
                self._deployer().attach(dc).wait_serving()
            self._phases.slowest(FROM_CHECKPOINT, start)
        return dc

    def _deployer(self) -> Deployer:
        return self._deployers[self._options.deployer]()

    def _described(self, dc: DataCenter) -> Mapping[str, str]:
        """Return the timers that are longer on a slow host."""
        cluster = self._deployer().timers(dc) if self._options.deploys else {}
        return {**cluster, **described(dc.topology, dc.slowness)}

    def _tell_inside(self, recorder: Recorder) -> None:
        """Write what happened inside to a history, once: that takes the guests a second."""
        inside, self._inside = self._inside, None
        try:
            recorder.write(redacted(inside.dc, inside.read()) if inside is not None else ())
        except Exception as error:  # noqa: BLE001 - what cannot be read of a bad day must not hide what happened on it
            recorder.record("note", "harness", name="nothing was read inside", why=repr(error))

    def _clear(self, name: str) -> None:
        if self._vigil is not None:
            self._vigil.look()
            self._past.append(self._vigil)
            self._vigil = None
        self._tell_inside(self._recorder)
        if name in self._life.instances(self._settings):
            self._life.down(name, self._settings, self._steps)

    def _give_up(self, name: str, error: BaseException) -> None:
        """Gather what tells why a data centre did not come up, then take it down, unless it is to be kept."""
        if name not in self._life.instances(self._settings):
            return  # it was rolled back
        try:
            if isinstance(error, Exception):
                folder = self.run_directory / "artifacts" / "-".join(("bring-up", self._options.worker)).strip("-")
                collect(self._life.attach(name, self._settings, self._steps), folder)
                error.add_note(f"its consoles and logs are in {folder}")
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"not all of its consoles and logs could be gathered: {second}")
        if self._options.keep:
            return
        try:
            self._life.down(name, self._settings, self._steps)
            error.add_note(f"{name} was taken down after that")
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"taking it down failed too: {second}; `vdc down {name}` tries again")


def _append(source: Path, offset: int, target: Path) -> None:
    """Copy what a history gained since it was `offset` bytes long; its own directory may go."""
    with source.open("rb") as old, target.open("ab") as new:
        old.seek(offset)
        shutil.copyfileobj(old, new)


def _host() -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, {memory:.0f} GiB"
