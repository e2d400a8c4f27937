"""The pytest plugin: fixtures `dc`, `cluster`, `kubernetes`, `probe` and `inject`, and the report of the run.

It is loaded in every pytest run of its environment, so it imports nothing heavy and does nothing until a test
asks for `dc`. Everything that then happens is in `vdc.pytest_plugin.session`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from random import Random

    from vdc.cluster.api import Cluster
    from vdc.cluster.kubernetes.api import KubernetesCluster
    from vdc.datacenter.api import DataCenter
    from vdc.faults.base import Fault, Inject
    from vdc.observe.service import Prober
    from vdc.pytest_plugin.seeding import Picker
    from vdc.pytest_plugin.session import Session
    from vdc.upgrade.trial import Upgrades

SUITES = ("standard", "reboot", "fault", "upgrade")
"""The markers of suites, in the order in which they run: an upgrade leaves another release behind."""

_MARKERS = (
    "standard: an ordinary day",
    "reboot: servers and whole data centres restart",
    "fault: something breaks",
    "upgrade: a release replaces another",
    "releases(*names): releases that a scenario needs besides the topology's",
    "bare: for a fabric without servers",
    "graceful: for a fabric whose routers restart gracefully",
    "upgrades(path, variant): the row of the paths that a scenario tries, and how",
    "nightly: takes longer than a verdict before a merge may; runs with --nightly or --dc",
    "quarantine(issue, until): a scenario that may fail until a day, YYYY-MM-DD, for an issue, told by its URL",
    "console_may_say(*rules): rules for consoles that a scenario breaks on purpose",
)

STARTED = pytest.StashKey[float]()
"""When this run of pytest began, in seconds of the monotonic clock."""

LEFT_OUT = pytest.StashKey[Mapping[str, str]]()
"""The tests that the cluster cannot have, by id, with the reason of each."""

_ONE_PROCESS = (
    "scenarios share the data centre that --dc names, so they run in one process: leave out -n (pytest-xdist)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which data centre scenarios run on."""
    group = parser.getgroup("vdc", "virtual data centre (vdc)")
    group.addoption("--dc", metavar="NAME", help="run scenarios on the running data centre NAME, as it is")
    group.addoption("--topology", metavar="FILE", type=Path, help="bring a data centre of FILE up for the run")
    group.addoption("--name", metavar="NAME", help="with --topology: its instance name")
    set_help = "with --topology: set a variable of FILE; may be given more than once"
    group.addoption("--topology-set", metavar="NAME=VALUE", action="append", help=set_help)
    group.addoption("--keep", action="store_true", help="with --topology: leave it running at the end")
    group.addoption("--nightly", action="store_true", help="with --topology: run those marked `nightly`, too")
    group.addoption("--no-checkpoint", action="store_true", help="with --topology: do everything from cold")
    old_help = "with --topology: deploy by the code of then, in a git ref or a folder, and go on with today's"
    group.addoption("--old", metavar="REF|DIR", help=old_help)
    group.addoption("--deployer", metavar="NAME", help="what deploys the cluster (default: what the topology says)")
    group.addoption("--seed", metavar="N", type=int, help="what all draws of scenarios begin with (default: a new one)")
    hold_help = "stand still after a failure, so that somebody can look inside: 30m, 1h"
    group.addoption("--hold-on-failure", metavar="TIME", help=hold_help)
    pause_help = "stand still before scenarios with this in their names, until `vdc resume NAME` or Enter"
    group.addoption("--pause-before", metavar="SCENARIO", help=pause_help)
    group.addoption(
        "--repeat", metavar="N", type=int, default=1, help="run each scenario N times, each with its own dice"
    )
    group.addoption("--run-dir", metavar="DIR", type=Path, help="write the report to DIR (runs/NAME)")


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Let a process of pytest-xdist run whole modules, since a module begins with a restore."""
    if config.getoption("--topology") and config.getoption("numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"
    return (yield)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return for `-n auto` how many data centres fit on this host."""
    if not config.getoption("--topology"):
        return None
    from vdc.pytest_plugin.parallel import fitting

    return fitting(config)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, for projects with --strict-markers, and what a run with a data centre needs."""
    config.stash.setdefault(STARTED, time.monotonic())
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if not _wants_data_center(config):
        return
    workers = config.getoption("numprocesses", None)
    if config.getoption("--dc") and workers:
        raise pytest.UsageError(_ONE_PROCESS)
    from vdc.pytest_plugin.options import worker_of
    from vdc.pytest_plugin.parallel import Controller, Worker
    from vdc.pytest_plugin.reporting import Report

    report = Worker(config) if worker_of(config) else Report(config)
    config.pluginmanager.register(report, "vdc-report")
    if not workers:
        from vdc.pytest_plugin.attempts import Attempts
        from vdc.pytest_plugin.verdicts import Verdicts

        config.pluginmanager.register(Attempts(), "vdc-attempts")
        config.pluginmanager.register(Verdicts(config), "vdc-verdicts")
    if workers and isinstance(report, Report):
        config.pluginmanager.register(Controller(config, report), "vdc-controller")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat scenarios as often as is asked for."""
    times = metafunc.config.getoption("--repeat")
    if times > 1 and "dc" in metafunc.fixturenames:
        metafunc.fixturenames.append("vdc_turn")
        metafunc.parametrize("vdc_turn", range(1, times + 1), ids=lambda turn: f"turn{turn}", indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order scenarios by suite, and leave out those that the cluster cannot have; leave other runs alone."""
    if not any(uses_dc(item) for item in items):
        return
    items.sort(key=lambda item: SUITES.index(suite) if (suite := suite_of(item)) in SUITES else -1)
    if _wants_data_center(config):
        from vdc.pytest_plugin.selection import select

        select(config, items)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Tell the seed, before anything is drawn."""
    if not _wants_data_center(config):
        return []
    from vdc.pytest_plugin.seeding import seed_of

    return [f"vdc: --seed {seed_of(config)}"]


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Tell how many scenarios were left out, and why."""
    if not _wants_data_center(config):
        return []
    from vdc.pytest_plugin.selection import told

    return told(config)


def _wants_data_center(config: pytest.Config) -> bool:
    return bool(config.getoption("--topology") or config.getoption("--dc"))


def uses_dc(item: pytest.Item) -> bool:
    """Return whether a test asks for a data centre, itself or through a fixture."""
    return "dc" in getattr(item, "fixturenames", ())


def suite_of(item: pytest.Item) -> str:
    """Return the suite of a test, or an empty text."""
    return next((suite for suite in SUITES if item.get_closest_marker(suite)), "")


@pytest.fixture(scope="session")
def vdc_session(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Session]:
    """What scenarios of all modules share; not for tests."""
    from vdc.pytest_plugin.hooks import Hooks
    from vdc.pytest_plugin.options import options
    from vdc.pytest_plugin.session import Session

    chosen = options(pytestconfig, request.session.items)
    receiver = pytestconfig.pluginmanager.get_plugin("vdc-report")
    assert receiver is not None
    hooks = Hooks(pytestconfig, receiver)
    hooks.session = session = Session(chosen, hooks)
    pytestconfig.pluginmanager.register(hooks, "vdc-session")
    yield session
    session.close()


@pytest.fixture(scope="module")
def dc(vdc_session: Session, request: pytest.FixtureRequest) -> Iterator[DataCenter]:
    """The data centre: with --topology, a module finds it as it was deployed; with --dc, as it is.

    Modules of the suite standard share one, until a test of theirs does not pass.
    """
    tests = [item for item in request.session.items if item.getparent(pytest.Module) is request.node]
    suites = {suite_of(test) for test in tests if uses_dc(test)}
    with vdc_session.module(suites.pop() if len(suites) == 1 else "") as running:
        yield running


@pytest.fixture(scope="module")
def cluster(dc: DataCenter, vdc_session: Session) -> Cluster:
    """The cluster on the data centre."""
    return vdc_session.cluster(dc)


@pytest.fixture(scope="module")
def kubernetes(cluster: Cluster) -> KubernetesCluster:
    """The cluster, which is a Kubernetes: where another is deployed, tests that ask for it are left out."""
    from vdc.cluster.kubernetes.api import KubernetesCluster

    assert isinstance(cluster, KubernetesCluster), f"{type(cluster).__name__} is no Kubernetes"
    return cluster


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Prober:
    """Offer probes: `with probe.etcd(cluster) as watch:`. Outages go to the report by themselves."""
    from vdc.pytest_plugin.probing import RecordingProbe

    # not `record_property`, which warns where JUnit's newer family is written; the properties are there all the same
    properties = request.node.user_properties
    return RecordingProbe(lambda name, value: properties.append((name, value)))


@pytest.fixture
def inject(dc: DataCenter, request: pytest.FixtureRequest) -> Inject:
    """What puts a fault in effect for a body: proven to bite before it, and healed after it.

    A scenario with a fault that this host or data centre cannot offer is skipped, with the reason.
    """
    from vdc.faults.base import injected
    from vdc.pytest_plugin.hooks import Hooks

    hooks = request.config.pluginmanager.get_plugin("vdc-session")
    on_failure = partial(hooks.gather, request.node) if isinstance(hooks, Hooks) else None

    def inject(fault: Fault) -> AbstractContextManager[None]:
        if (lacks := fault.missing(dc)) is not None:
            pytest.skip(f"{fault.name}: {lacks}")
        return injected(dc, fault, on_failure=on_failure)

    return inject


@pytest.fixture
def upgrades(vdc_session: Session) -> Upgrades:
    """What scenarios of upgrades must know of paths and releases, besides the data centre."""
    return vdc_session.upgrades


@pytest.fixture
def vdc_turn(request: pytest.FixtureRequest) -> int:
    """Which of its repetitions this is, from 1; not for tests."""
    turn: int = request.param
    return turn


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> Random:
    """Dice that fall the same way at every run with the same `--seed`."""
    from vdc.pytest_plugin.seeding import dice_of

    return dice_of(request.node)


@pytest.fixture
def pick(dc: DataCenter, dice: Random, request: pytest.FixtureRequest) -> Picker:
    """Draw devices: `pick("one(tier(spine))")`; the same ones at every run with the same `--seed`."""
    from vdc.pytest_plugin.seeding import Picker

    return Picker(dc, dice, request)


__all__ = [
    "LEFT_OUT",
    "STARTED",
    "SUITES",
    "cluster",
    "dc",
    "dice",
    "inject",
    "kubernetes",
    "pick",
    "probe",
    "suite_of",
    "upgrades",
    "uses_dc",
    "vdc_session",
    "vdc_turn",
]
