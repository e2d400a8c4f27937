"""Several processes of pytest (pytest-xdist), each with a data centre of its own, and one report."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

from vdc.datacenter import lifecycle
from vdc.datacenter.live import is_up
from vdc.errors import VdcError
from vdc.host import ledger
from vdc.host.uplink import default_mtu
from vdc.model.load import load, read_topology
from vdc.pytest_plugin import STARTED
from vdc.pytest_plugin.life import Lifecycle
from vdc.pytest_plugin.options import instance_name, options, started
from vdc.pytest_plugin.probing import EVENT
from vdc.pytest_plugin.reporting import Report, scenarios_of, tell
from vdc.pytest_plugin.scheduling import WholeFiles
from vdc.pytest_plugin.seeding import KEY, seed_of
from vdc.report import EventOutage, RunResult
from vdc.settings import Settings
from vdc.steps import Steps

_SCENARIOS, _RESULT, _STARTED = "vdc_scenarios", "vdc_result", "vdc_started"
"""What the processes tell each other, by pytest-xdist's `workerinput` and `workeroutput`."""


class Node(Protocol):
    """A worker as its controller knows it; one that ended well has `workeroutput`, too."""

    workerinput: dict[str, Any]


def fitting(config: pytest.Config) -> int:
    """Return how many data centres fit on this host, at least 1, and no more than there are test files.

    Raises pytest.UsageError: not even one does, or the topology is wrong.
    """
    chosen, settings = options(config), Settings.from_environment()
    assert chosen.topology is not None
    try:
        topology = read_topology(chosen.topology, chosen.sets, default_mtu=default_mtu())
        plan = lifecycle.prepare(topology, chosen.name, settings, Steps())
        fit = ledger.fitting(plan, settings)
    except VdcError as error:
        raise pytest.UsageError(str(error)) from error
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    files = {file for path in paths for file in (path.rglob("test_*.py") if path.is_dir() else [path])}
    return max(1, min(fit, len(files)))


class Worker:
    """In a process that runs scenarios: tells the report's process what it must know."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = cast(Any, config)  # what pytest-xdist adds to it has no type
        config.stash[STARTED] = self._config.workerinput[_STARTED]

    def take(self, result: RunResult) -> None:
        """Hear what the session on the data centre found."""
        self._config.workeroutput[_RESULT] = asdict(result)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell which scenarios there are."""
        self._config.workeroutput[_SCENARIOS] = scenarios_of(session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Make the outages of events plain data."""
        data = yield
        if data is not None and "user_properties" in data:
            data["user_properties"] = [
                (name, asdict(value) if isinstance(value, EventOutage) else value)
                for name, value in data["user_properties"]
            ]
        return data


class Controller:
    """In the report's process: hears what workers found, and takes down what dead ones left."""

    life: Lifecycle = lifecycle

    def __init__(self, config: pytest.Config, report: Report) -> None:
        self._config = config
        self._report = report
        self._chosen = options(config)
        self._settings = Settings.from_environment()
        self._workers: list[str] = []
        self._knows_suites = False

    def pytest_configure_node(self, node: Node) -> None:
        """Tell a worker when all began."""
        node.workerinput[_STARTED] = started(self._config)
        node.workerinput[KEY] = seed_of(self._config)
        self._workers.append(node.workerinput["workerid"])

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: object) -> WholeFiles | None:
        """Give whole modules to workers, unless --dist says otherwise."""
        return WholeFiles(config, log) if config.option.dist == "loadfile" else None

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note which tests there are, in case that no worker lives to tell which of them are scenarios."""
        if not self._knows_suites:
            self._report.expect(dict.fromkeys(ids, ""))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> Generator[None, object, object]:
        """Make outages of events from plain data."""
        if "user_properties" in data:
            data["user_properties"] = [
                (name, EventOutage(**value) if name == EVENT else value) for name, value in data["user_properties"]
            ]
        return (yield)

    def pytest_testnodedown(self, node: Node) -> None:
        """Hear what a worker found at its end; take its data centre down if that was not a good one."""
        told: Mapping[str, Any] = getattr(node, "workeroutput", {})
        if _SCENARIOS in told:
            self._knows_suites = True
            self._report.expect(told[_SCENARIOS])
        if _RESULT in told:
            self._report.take(RunResult(**told[_RESULT]))
        self._clear(node.workerinput["workerid"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Take down what interrupted workers left: by now they are dead."""
        for worker in self._workers:
            self._clear(worker)
        self.life.gc(self._settings, Steps())  # a template that one of them was booting

    def _clear(self, worker: str) -> None:
        assert self._chosen.topology is not None
        name = instance_name(self._chosen.name or load(self._chosen.topology, self._chosen.sets).name, worker)
        # one that is up is kept, or somebody else's: what the dead left is not up, since it was tied to them
        if name not in self.life.instances(self._settings) or is_up(self._settings.state_dir / name):
            return
        try:
            self.life.down(name, self._settings, Steps())
            tell(self._config, f"{worker} died, and {name} was taken down")
        except VdcError as error:
            tell(self._config, f"{worker} died, and taking {name} down failed: {error}; `vdc down {name}` tries again")
