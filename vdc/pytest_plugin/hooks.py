"""What pytest tells us in a process that has a data centre, and what we tell in return."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from vdc.errors import HostError
from vdc.pytest_plugin import uses_dc
from vdc.pytest_plugin.artifacts import collect
from vdc.pytest_plugin.reporting import BUNDLE, tell
from vdc.pytest_plugin.seeding import seed_of

if TYPE_CHECKING:
    from vdc.pytest_plugin.session import Session
    from vdc.report import RunResult

_SHOWN_DEPTH = 2


class Receiver(Protocol):
    """Hears what a session found: the report, or in a process of pytest-xdist what passes it on."""

    def take(self, result: RunResult) -> None:
        """Hear it."""


class Hooks:
    """The part of the plugin that exists only while there is a data centre; also listens to its steps."""

    session: Session

    def __init__(self, config: pytest.Config, receiver: Receiver) -> None:
        self._config = config
        self._receiver = receiver
        self._gathered: dict[tuple[str, int], str] = {}
        self.attempt = 1  # of the scenario that runs

    def gather(self, item: pytest.Item) -> str:
        """Gather what explains the failure of an attempt, once: a fault calls this before it is healed.

        Return where it is and what was gathered; the report hears of it by a property of the test.
        """
        dc, key = self.session.dc, (item.nodeid, self.attempt)
        if dc is not None and key not in self._gathered:
            bundle = collect(dc, self._folder(item), self._facts(item))
            self._gathered[key] = str(bundle)
            item.user_properties.append((BUNDLE, str(bundle.path.relative_to(self.session.run_directory))))
        return self._gathered.get(key, "")

    def _folder(self, item: pytest.Item) -> Path:
        name = _file_name(item.nodeid) + (f"-attempt{self.attempt}" if self.attempt > 1 else "")
        return self.session.run_directory / "artifacts" / name

    def _facts(self, item: pytest.Item) -> dict[str, str]:
        return {
            "test": item.nodeid,
            "attempt": str(self.attempt),
            "seed": str(seed_of(self._config)),
            "command": " ".join(map(str, self._config.invocation_params.args)),
        }

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to run a scenario on a data centre that an earlier one left broken; end the run on a full disk."""
        if not uses_dc(item):
            return
        try:
            self.session.expect_ready()
        except HostError as error:
            item.session.shouldstop = error.message
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Gather what explains a failure while it is still there; note who broke the data centre.

        Where this host cannot hold a data centre, the next module's would not come up either: the run ends.
        """
        report = yield
        dc = self.session.dc
        if dc is None and uses_dc(item) and call.excinfo and isinstance(call.excinfo.value, HostError):
            item.session.shouldstop = call.excinfo.value.message
        if dc is None or not uses_dc(item):
            return report
        if not report.passed:
            self.session.spoil()
        if report.failed:
            report.sections.append(("vdc artifacts", self.gather(item)))
            with (self._folder(item) / "failure.txt").open("a", encoding="utf-8") as file:
                file.write(f"{report.when}:\n{report.longreprtext}\n")  # a teardown may fail after its scenario
            report.user_properties = list(item.user_properties)
        if dc.dirty() and not self.session.culprit:
            self.session.culprit = item.nodeid
        return report

    def pytest_sessionfinish(self) -> None:
        """Hand over what was found to the report."""
        self._receiver.take(self.session.result())

    def started(self, name: str, depth: int) -> None:
        """Say nothing when a step begins; `ended` tells what it took."""

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """Show a step that ended, unless it is a detail."""
        if depth < _SHOWN_DEPTH:
            outcome = "failed" if error else "done"
            tell(self._config, f"{'  ' * (depth + 1)}{name}: {outcome} ({seconds:.1f} s)")


def _file_name(nodeid: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in nodeid)
