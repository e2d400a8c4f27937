"""What pytest tells us during a run with a data centre, and what we tell in return."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from vdc.errors import DirtyError
from vdc.pytest_plugin import suite_of, uses_dc
from vdc.pytest_plugin.artifacts import collect
from vdc.pytest_plugin.probing import EVENT, FIGURES
from vdc.report import EventOutage, ScenarioResult, render_screen, render_summary
from vdc.report.result import Result

if TYPE_CHECKING:
    from vdc.pytest_plugin.session import Session

_WIDTH = 80
_SHOWN_DEPTH = 2
_MESSAGE_CHARACTERS = 4000


class Hooks:
    """The part of the plugin that exists only while there is a data centre; also listens to its steps."""

    session: Session

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._culprit = ""
        self._gathered: dict[str, str] = {}

    def gather(self, item: pytest.Item) -> None:
        """Gather what explains the failure of a scenario, once: a fault calls this before it is healed."""
        dc = self.session.dc
        if dc is not None and item.nodeid not in self._gathered:
            folder = self.session.run_directory / "artifacts" / _file_name(item.nodeid)
            self._gathered[item.nodeid] = collect(dc, folder)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to run a scenario on a data centre that an earlier one left broken."""
        dc = self.session.dc
        reason = dc.dirty() if dc is not None and uses_dc(item) else None
        if reason is not None:
            raise DirtyError(f"the data centre is dirty since {self._culprit or 'before this run'}: {reason}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the outcome of a scenario; gather what explains a failure while it is still there."""
        report = yield
        if not uses_dc(item):
            return report
        dc = self.session.dc
        if dc is not None and report.failed and self._is_first_failure(report):
            self.gather(item)
            report.sections.append(("vdc artifacts", self._gathered[item.nodeid]))
        if dc is not None and dc.dirty() and not self._culprit:
            self._culprit = item.nodeid
        self._note(item, report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell the outages that a scenario measured as soon as it ends."""
        outages = outages_of(report)
        if report.when == "call" and outages:
            told = ", ".join(f"{name.replace('_', ' ')} {value:.2f} s" for name, value in outages.items())
            self._tell(f"  {told}")
            for event in events_of(report):
                self._tell(f"    {event}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the summary; a scenario that was never reached is an error, not a success.

        A run that did not pass does not end with pytest's status for success, also where all was skipped.
        """
        for item in session.items:
            if uses_dc(item) and item.nodeid not in self.session.results:
                self.session.results[item.nodeid] = ScenarioResult(
                    test=item.nodeid,
                    suite=suite_of(item),
                    outcome=Result.ERROR,
                    duration=0.0,
                    message="not run",
                )
        self.session.finish()
        if not self.session.result().passed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        text = render_summary(self.session.result())
        self.session.run_directory.mkdir(parents=True, exist_ok=True)
        (self.session.run_directory / "summary.md").write_text(text, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdict."""
        from rich.console import Console

        console = Console(width=max(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns))
        with console.capture() as captured:
            console.print(render_screen(self.session.result()))
        terminalreporter.section("vdc")
        terminalreporter.write(captured.get())
        terminalreporter.write_line(f"report: {self.session.run_directory}")

    def started(self, name: str, depth: int) -> None:
        """Say nothing when a step begins; `ended` tells what it took."""

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """Show a step that ended, unless it is a detail."""
        if depth < _SHOWN_DEPTH:
            outcome = "failed" if error else "done"
            self._tell(f"{'  ' * (depth + 1)}{name}: {outcome} ({seconds:.1f} s)")

    def _note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        known = self.session.results.get(item.nodeid)
        result = ScenarioResult(
            test=item.nodeid,
            suite=suite_of(item),
            outcome=_outcome(report),
            # what comes up for the first scenario, and down after the last one, is not theirs
            duration=report.duration if report.when == "call" else (known.duration if known else 0.0),
            outages=outages_of(report),
            events=events_of(report),
            message=_message(report),
        )
        # What went wrong once stays so: a good teardown does not undo a bad call.
        if known is None or known.outcome is Result.PASSED or report.failed:
            self.session.results[item.nodeid] = result

    def _is_first_failure(self, report: pytest.TestReport) -> bool:
        known = self.session.results.get(report.nodeid)
        return known is None or known.outcome is Result.PASSED

    def _tell(self, line: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None or capture is None:
            return
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)


def outages_of(report: pytest.TestReport) -> dict[str, float]:
    """Return the outages that a test recorded, in seconds by name."""
    return {name: float(str(value)) for name, value in report.user_properties if name in FIGURES}


def events_of(report: pytest.TestReport) -> tuple[EventOutage, ...]:
    """Return the outage of each event that a test recorded."""
    return tuple(value for name, value in report.user_properties if name == EVENT and isinstance(value, EventOutage))


def _outcome(report: pytest.TestReport) -> Result:
    if report.skipped:
        return Result.SKIPPED
    if not report.failed:
        return Result.PASSED
    return Result.FAILED if report.when == "call" else Result.ERROR


def _message(report: pytest.TestReport) -> str:
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longreprtext)[:_MESSAGE_CHARACTERS]


def _file_name(nodeid: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in nodeid)
