"""The pytest plugin: fixtures `dc`, `cluster`, `probe` and `inject`, and the report of the run.

It is loaded in every pytest run of its environment, so it imports nothing heavy and does nothing until a test
asks for `dc`. Everything that then happens is in `vdc.pytest_plugin.session`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vdc.cluster.api import Cluster
    from vdc.datacenter.api import DataCenter
    from vdc.faults.base import Inject
    from vdc.observe.service import Prober

SUITES = ("standard", "reboot", "fault", "upgrade")
"""The markers of suites, in the order in which they run: an upgrade leaves another release behind."""

_MARKERS = (
    "standard: an ordinary day",
    "reboot: servers and whole data centres restart",
    "fault: something breaks",
    "upgrade: a release replaces another",
    "releases(*names): releases that a scenario needs besides the topology's",
)


_ONE_PROCESS = "scenarios share one data centre, so they run in one process: leave out -n (pytest-xdist)"

STARTED = pytest.StashKey[float]()
"""When this run of pytest began, in seconds of the monotonic clock."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which data centre scenarios run on."""
    group = parser.getgroup("vdc", "virtual data centre (vdc)")
    group.addoption("--dc", metavar="NAME", help="run scenarios on the running data centre NAME")
    group.addoption("--topology", metavar="FILE", type=Path, help="bring a data centre of FILE up for the run")
    group.addoption("--name", metavar="NAME", help="with --topology: its instance name")
    group.addoption("--keep", action="store_true", help="with --topology: leave it running at the end")
    group.addoption("--deployer", metavar="NAME", default="etcd", help="what deploys the cluster (default: etcd)")
    group.addoption("--run-dir", metavar="DIR", type=Path, help="write the report to DIR (runs/NAME)")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, for projects with --strict-markers."""
    config.stash[STARTED] = time.monotonic()
    if _wants_data_center(config) and config.getoption("numprocesses", None):
        raise pytest.UsageError(_ONE_PROCESS)
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order scenarios by suite; leave runs without scenarios alone."""
    if any(uses_dc(item) for item in items):
        items.sort(key=lambda item: SUITES.index(suite) if (suite := suite_of(item)) in SUITES else -1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that asked for a data centre and skipped everything before it was needed: it proved nothing."""
    config = session.config
    if not _wants_data_center(config) or config.getoption("collectonly"):
        return
    idle = not config.pluginmanager.has_plugin("vdc-session") and any(map(uses_dc, session.items))
    if idle and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line("vdc: FAILED: every scenario was skipped", red=True)


def _wants_data_center(config: pytest.Config) -> bool:
    return bool(config.getoption("--topology") or config.getoption("--dc"))


def uses_dc(item: pytest.Item) -> bool:
    """Return whether a test asks for a data centre, itself or through a fixture."""
    return "dc" in getattr(item, "fixturenames", ())


def suite_of(item: pytest.Item) -> str:
    """Return the suite of a test, or an empty text."""
    return next((suite for suite in SUITES if item.get_closest_marker(suite)), "")


@pytest.fixture(scope="session")
def dc(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[DataCenter]:
    """The data centre: attached to with --dc, or brought up for this run with --topology."""
    from vdc.pytest_plugin.hooks import Hooks
    from vdc.pytest_plugin.session import Session, options

    if hasattr(pytestconfig, "workerinput"):
        raise pytest.UsageError(_ONE_PROCESS)
    session = Session(options(pytestconfig, request.session.items), hooks := Hooks(pytestconfig))
    hooks.session = session
    pytestconfig.pluginmanager.register(hooks, "vdc-session")
    with session.data_center() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(dc: DataCenter, pytestconfig: pytest.Config) -> Cluster:
    """The cluster on the data centre; deployed unless it is there already."""
    from vdc.pytest_plugin.hooks import Hooks

    hooks = pytestconfig.pluginmanager.get_plugin("vdc-session")
    assert isinstance(hooks, Hooks)
    return hooks.session.deploy(dc)


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Prober:
    """Offer probes: `with probe.etcd(cluster) as watch:`. Outages go to the report by themselves."""
    from vdc.pytest_plugin.probing import RecordingProbe

    # not `record_property`, which warns where JUnit's newer family is written; the properties are there all the same
    properties = request.node.user_properties
    return RecordingProbe(lambda name, value: properties.append((name, value)))


@pytest.fixture
def inject(dc: DataCenter, request: pytest.FixtureRequest) -> Inject:
    """What puts a fault in effect for a body: proven to bite before it, and healed after it."""
    from vdc.faults.base import injected
    from vdc.pytest_plugin.hooks import Hooks

    hooks = request.config.pluginmanager.get_plugin("vdc-session")
    on_failure = partial(hooks.gather, request.node) if isinstance(hooks, Hooks) else None
    return partial(injected, dc, on_failure=on_failure)


__all__ = ["STARTED", "SUITES", "cluster", "dc", "inject", "probe", "suite_of", "uses_dc"]
