"""The data centres that `vdc bench` measures: they have names of their own, and each is taken down."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from vdc.cli.bench.clos import bare_script
from vdc.cli.bench.faulting import Compared, compared
from vdc.cli.bench.memory import available, idle_memory
from vdc.cli.bench.results import Came, Deployed, Drawn, Planned, Ready, Saved
from vdc.cli.bench.samples import SMALL_FILE, fabric, small, stock
from vdc.cluster.etcd import EtcdDeployer
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.datacenter import checkpoint, checkpoint_stores, fork, lifecycle
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter, is_up
from vdc.errors import InputError
from vdc.host import engine, images
from vdc.host.engine import Build
from vdc.model.load import read_topology
from vdc.model.topology import Topology
from vdc.observe.flow_watch import flows
from vdc.plan.resources.network import Loopback, Namespace, Veth
from vdc.report import FIRST_SCENARIO, STANDARD_SUITE
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps
from vdc.wait import ticks

Boot = Literal["fork", "cold"]

_STANDARD: Final = ("--suite", "standard")
_SIX, _ONE, _SMALL, _FORK, _TEST = ("bench-six", "bench-one", "bench-small", "bench-fork", "bench-t")
_CLOS, _WIRED, _BARE, _NODES = ("bench-clos", "bench-wired", "bench-bare", "bench-k8s")
_STRUCK: Final = "bench-faults"
_NAMES = (_SIX, _ONE, _SMALL, _FORK, _TEST, _CLOS, _WIRED, _BARE, _NODES, _STRUCK)
_TAG: Final = "bench"
_TEST_SECONDS: Final = 1800.0
_PLAN_SECONDS: Final = 300.0
_BATCH_SECONDS: Final = 120.0
_FLOWING_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 30.0
_DURATION: Final = re.compile(r"^\| ([^|]+) \| ([\d.]+) s \|", re.MULTILINE)


@contextmanager
def open_lab(settings: Settings, steps: Steps) -> Iterator[Lab]:
    """Offer a lab; what it left running is taken down at the end, and what a killed one left before.

    Raises InputError or DirtyError: another one is there.
    """
    with ExitStack() as stack:
        lab = Lab(settings, steps, stack)
        for name in _NAMES:
            lab.clear(name)
        if running := set(_NAMES).intersection(lifecycle.instances(settings)):
            name = min(running)
            raise InputError(f"{name} is up: another bench runs", hint=f"wait for its end, or `vdc down {name}`")
        for name in (_SMALL, _NODES):
            lab.forget(name)
        yield lab


class Lab:
    """Measures. What more than one row needs is made when the first of them asks for it."""

    def __init__(self, settings: Settings, steps: Steps, stack: ExitStack) -> None:
        self._settings = settings
        self._steps = steps
        self._stack = stack

    @cached_property
    def small(self) -> Deployed:
        """`small.yml` with etcd, done from cold; it goes on running."""
        with ExitStack() as stack:
            stack.callback(self.forget)  # when it is down, since it may have come to live on that
            dc = stack.enter_context(self._running(small(), _SMALL, "cold"))
            made = Deployed(dc=dc, seconds=_deploy(dc))
            self._stack.enter_context(stack.pop_all())
        return made

    @cached_property
    def ordinary(self) -> float:
        """The seconds from nothing until etcd serves on `small.yml` with the stock image; nothing runs beside it."""
        with self._running(stock(small()), _SMALL, "cold") as dc:
            return _deploy(dc)

    @cached_property
    def saved(self) -> Saved:
        """A checkpoint of `small`."""
        dc = self.small.dc
        start = time.monotonic()
        with self._steps.step(f"save {dc.name}"):
            made = checkpoint_stores.save(dc, _TAG)
        return Saved(checkpoint=made, seconds=time.monotonic() - start)

    def converged(self, topology: Topology, boot: Boot) -> float:
        """Return the seconds from power-on until everything has converged."""
        with self._running(topology, _SIX, boot) as dc:
            return _since_power_on(dc, "up")

    def answering(self, topology: Topology) -> float:
        """Return the seconds from power-on until all servers answer, booted cold."""
        with self._running(topology, _ONE, "cold") as dc:
            return _since_power_on(dc, "answering")

    def idle_memory(self, topology: Topology, boot: Boot) -> float:
        """Return the bytes of the host's memory that a server takes when it has nothing more to do: the mean."""
        with self._running(topology, _SIX, boot) as dc:
            return idle_memory(dc) / len(dc.servers)

    def forked(self) -> float:
        """Return the seconds in which a fork of `saved` serves beside what it was saved from."""
        found = self.saved.checkpoint
        start = time.monotonic()
        dc = fork.fork(found, _FORK, self._settings, self._steps, tied=True)
        try:
            return _serving(dc) - start
        finally:
            self._down(dc.name)

    def restored(self) -> float:
        """Return the seconds in which `small` serves again, as it was when it was saved."""
        found = self.saved.checkpoint
        start = time.monotonic()
        return _serving(fork.restore(found, self._settings, self._steps, tied=True)) - start

    def first_scenario(self, *options: str) -> float:
        """Return the seconds from the start of `vdc test` to its first scenario.

        What the command needs before it looks at its clock is known only together with what it takes to end, after
        its report was written: both count.
        """
        whole, took = self._tested(SMALL_FILE, "-k", "test_cluster", *options)
        return took[FIRST_SCENARIO] + whole - took["total"]

    def suite(self, file: Path) -> float:
        """Return the seconds of the suite standard, with the restore of its deployed state, which the cache has."""
        self._tested(file, "-k", "test_cluster")  # leaves it there
        return self._tested(file)[1][STANDARD_SUITE]

    def ready(self, file: Path) -> Ready:
        """Deploy Kubernetes on a topology from nothing but what the cache has; then freeze it, and wake it up."""
        topology = read_topology(file)
        images.ensure(topology.release, self._settings, self._steps)
        start = time.monotonic()
        try:
            with self._running(topology, _NODES, "fork") as dc:
                KubernetesDeployer().deploy(dc)
                nothing = time.monotonic() - start
                made = checkpoint_stores.save(dc, _TAG)
            checkpoint, idle = self._woken(made)
            return Ready(nothing=nothing, checkpoint=checkpoint, idle=idle)
        finally:
            self.forget(_NODES)

    def planned(self, text: str) -> Planned:
        """Compile a topology file, in a process of its own."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "bench.yml"
            file.write_text(text, encoding="utf-8")
            said = run([sys.executable, "-m", "vdc.cli.bench.planning", str(file)], timeout=_PLAN_SECONDS).stdout
        return Planned(**json.loads(said))

    def drawn(self) -> Drawn:
        """Make and open the report of a long run, in a process of its own."""
        with TemporaryDirectory() as folder:
            return Drawn(**json.loads(run([sys.executable, "-m", "vdc.cli.bench.page", folder], timeout=600).stdout))

    def came(self, make: Callable[[], Topology]) -> Came:
        """Build a fabric from nothing, with the making of its topology, until it has converged; then take it down."""
        free, start = available(), time.monotonic()
        with self._running(make(), _CLOS, "cold"):
            converged, taken = time.monotonic() - start, free - available()
            start = time.monotonic()
        return Came(converged=converged, down=time.monotonic() - start, memory=taken)

    def struck(self) -> tuple[Compared, ...]:
        """Break and mend a cable of a fabric in each way."""
        with self._running(fabric(), _STRUCK, "cold") as dc:
            return tuple(compared(dc))

    def flowing(self) -> float:
        """Return the share of a core that the dearest process of flows takes, between all racks of a fabric."""
        with self._running(fabric(), _STRUCK, "cold") as dc, flows(dc) as watch:
            for _ in ticks(_FLOWING_SECONDS, duration=_FLOWING_SECONDS):
                pass
        return watch.cpu

    def wired(self, topology: Topology) -> float:
        """Return the seconds in which the namespaces, links and addresses of a fabric are made."""

        def build(dc: LiveDataCenter) -> None:
            made = Build(plan=dc.plan, settings=dc.settings, secrets=dc.secrets)
            engine.apply(made, only=lambda resource: isinstance(resource, Namespace | Loopback | Veth))

        return self._built(topology, _WIRED, build)

    def wired_bare(self, topology: Topology) -> float:
        """Return the seconds in which a plain script makes the same."""

        def build(dc: LiveDataCenter) -> None:
            for argv, text in bare_script(dc.plan):
                run(argv, stdin=text, timeout=_BATCH_SECONDS)

        return self._built(topology, _BARE, build)

    def clear(self, name: str) -> None:
        """Take down what a dead process left of a data centre."""
        if not is_up(self._settings.state_dir / name):
            self._down(name)

    def forget(self, name: str = _SMALL) -> None:
        """Remove the checkpoint of a data centre, by default of `small`, if there is one."""
        directory = checkpoint_stores.store(self._settings) / name / _TAG
        if directory.exists():
            checkpoint.discard(directory)
        with suppress(OSError):  # it is not there, or there are others
            directory.parent.rmdir()

    @contextmanager
    def _running(self, topology: Topology, name: str, boot: Boot) -> Iterator[LiveDataCenter]:
        plan = lifecycle.prepare(topology, name, self._settings, self._steps, boot=boot)
        dc = lifecycle.up(plan, self._settings, self._steps, tied=True)
        try:
            yield dc
        finally:
            self._down(dc.name)

    def _woken(self, found: Checkpoint) -> tuple[float, float]:
        """Return the seconds in which a Kubernetes that is down serves again from its checkpoint, and `_idle` then."""
        start = time.monotonic()
        try:
            dc = fork.fork(found, found.name, self._settings, self._steps, tied=True)
            with self._steps.step("wait until Kubernetes serves"):
                KubernetesDeployer().attach(dc).wait_serving()
            return time.monotonic() - start, self._idle(dc)
        finally:
            self._down(found.name)

    def _idle(self, dc: LiveDataCenter) -> float:
        """Return what the busiest control plane takes of one core while nobody asks for anything."""
        kubernetes = dc.topology.kubernetes
        servers = [dc.servers[name] for name in (kubernetes.control_planes if kubernetes is not None else ())]
        with self._steps.step("measure an idle control plane"):
            used, start = [server.cpu_seconds() for server in servers], time.monotonic()
            for _ in ticks(1.0, duration=_IDLE_SECONDS):
                pass
            took = time.monotonic() - start
            return max(server.cpu_seconds() - before for server, before in zip(servers, used, strict=True)) / took

    def _built(self, topology: Topology, name: str, build: Callable[[LiveDataCenter], None]) -> float:
        """Return the seconds that `build` takes."""

        def timed(dc: LiveDataCenter) -> dict[str, float]:
            start = time.monotonic()
            build(dc)
            return {name: time.monotonic() - start}

        plan = lifecycle.prepare(topology, name, self._settings, self._steps)
        dc = lifecycle.create(plan, self._settings, self._steps, timed, tied=True)
        try:
            return lifecycle.seconds(dc)[name]
        finally:
            self._down(name)

    def _tested(self, file: Path, *options: str) -> tuple[float, dict[str, float]]:
        """Run `vdc test` with the suite standard; return the seconds it took, and those of its phases."""
        argv = [sys.executable, "-m", "vdc.cli", "test", str(file), "--name", _TEST, *_STANDARD, *options]
        places = {"VDC_STATE_DIR": str(self._settings.state_dir), "VDC_CACHE_DIR": str(self._settings.cache_dir)}
        start = time.monotonic()
        try:
            with self._steps.step(" ".join(("vdc test", str(file), *options))):
                run(argv, timeout=_TEST_SECONDS, env=places)
            whole = time.monotonic() - start
        finally:
            self.clear(_TEST)
        return whole, durations(Path("runs", _TEST, "summary.md").read_text(encoding="utf-8"))

    def _down(self, name: str) -> None:
        if name in lifecycle.instances(self._settings):
            lifecycle.down(name, self._settings, self._steps)


def _deploy(dc: LiveDataCenter) -> float:
    """Deploy etcd; return the seconds since the data centre began to be built."""
    start = time.monotonic()
    EtcdDeployer().deploy(dc)
    return lifecycle.seconds(dc)["up"] + time.monotonic() - start


def durations(summary: str) -> dict[str, float]:
    """Return the seconds of each phase that the summary of a run tells."""
    return {phase: float(seconds) for phase, seconds in _DURATION.findall(summary)}


def _since_power_on(dc: LiveDataCenter, phase: str) -> float:
    took = lifecycle.seconds(dc)
    return took[phase] - took["fabric"]


def _serving(dc: LiveDataCenter) -> float:
    """Return when etcd serves, in seconds of the monotonic clock."""
    with dc.steps.step("wait until etcd serves"):
        EtcdDeployer().attach(dc).wait_serving()
    return time.monotonic()
