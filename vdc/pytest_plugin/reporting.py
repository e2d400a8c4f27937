"""The report of a run: made by the process that the user started, whichever ones the scenarios ran in."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import VdcError
from vdc.pytest_plugin import suite_of, uses_dc
from vdc.pytest_plugin.attempts import compared, tries_of
from vdc.pytest_plugin.options import options, worker_of
from vdc.pytest_plugin.probing import EVENT, FIGURES
from vdc.report import EventOutage, RunResult, ScenarioResult, merged, render_screen, render_summary
from vdc.report.annotations import render_annotations
from vdc.report.junit import with_properties
from vdc.report.result import STARVED, Result
from vdc.report.stored import REPORT, save, steps_in
from vdc.settings import Settings

VERDICT, NOTE = "verdict", "note"
"""The names of the properties of a test that tell its verdict, and what one must know of that."""

BUNDLE = "bundle"
"""The name of the property of a test that tells where the evidence of its failure is, from the run's directory."""

RERUN = "rerun"
"""The outcome, for pytest, of reports of an attempt that proves nothing: another one follows."""

_WIDTH = 80
_CUT_OFF = "cut off"
_MESSAGE_CHARACTERS = 4000
_TOLD_LINES, _TOLD_CHARACTERS = 8, 400  # of a failure, while others still run; pytest tells all of it at the end


class Report:
    """Collects the outcomes of scenarios and what sessions found; writes the summary, and prints the verdict."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._chosen = options(config)
        self._scenarios: Mapping[str, str] = {}
        self._outcomes: dict[str, ScenarioResult] = {}
        self._failed: set[str] = set()
        self._sessions: list[RunResult] = []
        self._result: RunResult | None = None

    def expect(self, scenarios: Mapping[str, str]) -> None:
        """Hear which scenarios there are: the ids of their tests, and the suite of each."""
        self._scenarios = scenarios

    def take(self, result: RunResult) -> None:
        """Hear what a session on a data centre found, besides the outcomes of scenarios."""
        self._sessions.append(result)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which scenarios there are, where it is this process that collects them."""
        self.expect(scenarios_of(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected: no starved host excuses that."""
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a scenario; tell why it failed and the outages that it measured as soon as it ends."""
        if str(report.outcome) == RERUN:
            return
        if report.failed:
            self._failed.add(report.nodeid)
            for line in message_of(report).splitlines()[:_TOLD_LINES]:
                tell(self._config, f"  {line[:_TOLD_CHARACTERS]}")
        self._note(report)
        outages = outages_of(report)
        if report.when == "call" and outages:
            told = ", ".join(f"{name.replace('_', ' ')} {value:.2f} s" for name, value in outages.items())
            tell(self._config, f"  {told}")
            for event in events_of(report):
                tell(self._config, f"    {event}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the summary; a run that did not pass does not end with pytest's status for success."""
        if not self._scenarios or self._config.getoption("collectonly"):
            return
        self._result = result = self._compared(self._sum())
        if not result.passed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        only_scenarios = self._failed <= self._scenarios.keys()
        if result.inconclusive and only_scenarios and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = STARVED
        self._chosen.run_directory.mkdir(parents=True, exist_ok=True)
        (self._chosen.run_directory / "summary.md").write_text(render_summary(result), encoding="utf-8")
        self._write_report(result)

    def _compared(self, result: RunResult) -> RunResult:
        """Return the result with what its steps usually take; what was tried of upgrades is recorded."""
        try:
            return compared(result, Settings.from_environment())
        except (VdcError, OSError) as error:
            tell(self._config, f"what was tried of upgrades could not be recorded: {error}")
            return result

    def _write_report(self, result: RunResult) -> None:
        """Add properties to JUnit's file, which pytest has written by now; write the page and what it is made of."""
        junit = self._config.getoption("xmlpath", None)
        try:
            if junit and Path(junit).exists():
                text = Path(junit).read_text(encoding="utf-8")
                Path(junit).write_text(with_properties(text, result), encoding="utf-8")
            save(result, self._chosen.run_directory)
        except Exception as error:  # noqa: BLE001 - a verdict without a page is still a verdict
            tell(self._config, f"the report could not be written: {type(error).__name__}: {error}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdict."""
        if self._result is None:
            return
        from rich.console import Console

        console = Console(width=max(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns))
        with console.capture() as captured:
            console.print(render_screen(self._result))
        terminalreporter.section("vdc")
        terminalreporter.write(captured.get())
        for scenario in self._result.scenarios:
            if scenario.bundle:
                terminalreporter.write_line(f"evidence: {self._chosen.run_directory / scenario.bundle}")
        terminalreporter.write_line(f"report: {self._chosen.run_directory / REPORT}")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in render_annotations(self._result):
                terminalreporter.write_line(line)

    def _note(self, report: pytest.TestReport) -> None:
        known = self._outcomes.get(report.nodeid)
        if known is not None and known.message == _CUT_OFF and report.when == "call":
            known = None
        result = ScenarioResult(
            test=report.nodeid,
            suite="",
            outcome=_outcome(report),
            # what comes up for the first scenario, and down after the last one, is not theirs
            duration=report.duration if report.when == "call" else (known.duration if known else 0.0),
            outages=outages_of(report),
            events=events_of(report),
            message=message_of(report),
            location=_location(report),
            note=str(dict(report.user_properties).get(NOTE, "")),
            bundle=str(dict(report.user_properties).get(BUNDLE, "")),
            tries=tries_of(report),
        )
        if report.when == "setup" and report.passed:
            # unless its call is told, too: a scenario that was interrupted has not passed
            result = replace(result, outcome=Result.ERROR, message=_CUT_OFF)
        # What went wrong once stays so: a good teardown does not undo a bad call, nor does a bad one hide it.
        if known is not None and known.outcome in {Result.FAILED, Result.ERROR} and report.failed:
            message = "\n".join(filter(None, (known.message, result.message)))
            self._outcomes[report.nodeid] = replace(known, message=message, bundle=known.bundle or result.bundle)
        elif known is None or known.outcome is Result.PASSED or report.failed:
            self._outcomes[report.nodeid] = result

    def _sum(self) -> RunResult:
        """Return the result of all; a scenario that was never reached is an error, not a success."""
        unknown = RunResult(
            name=self._chosen.run_directory.name, topology="?", host="?", accelerator="?", slowness=1.0, scenarios=()
        )
        result = merged(self._sessions or [unknown])
        missed = ScenarioResult(test="", suite="", outcome=Result.ERROR, duration=0.0, message="not run")
        steps = steps_in(self._chosen.run_directory)
        scenarios = tuple(
            replace(self._outcomes.get(test, missed), test=test, suite=suite, steps=steps.get(test, {}))
            for test, suite in self._scenarios.items()
        )
        total = time.monotonic() - self._chosen.started
        return replace(result, scenarios=scenarios, durations={**result.durations, "total": total})


def tell(config: pytest.Config, line: str) -> None:
    """Show a line in the terminal; one of a process of pytest-xdist begins with its name."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:
        return
    with capture.global_and_fixture_disabled():
        if worker := worker_of(config):  # whose reporter writes to nowhere
            sys.stderr.write(f"[{worker}] {line}\n")
        else:
            reporter.ensure_newline()
            reporter.write_line(line)


def scenarios_of(items: Iterable[pytest.Item]) -> dict[str, str]:
    """Return the tests that ask for a data centre, by id, and the suite of each."""
    return {item.nodeid: suite_of(item) for item in items if uses_dc(item)}


def outages_of(report: pytest.TestReport) -> dict[str, float]:
    """Return the outages that a test recorded, in seconds by name."""
    return {name: float(str(value)) for name, value in report.user_properties if name in FIGURES}


def events_of(report: pytest.TestReport) -> tuple[EventOutage, ...]:
    """Return the outage of each event that a test recorded."""
    return tuple(value for name, value in report.user_properties if name == EVENT and isinstance(value, EventOutage))


def _outcome(report: pytest.TestReport) -> Result:
    told = dict(report.user_properties).get(VERDICT)
    if told is not None and (report.when == "call" or not report.failed):
        return Result(str(told))
    if report.skipped:
        return Result.SKIPPED
    if not report.failed:
        return Result.PASSED
    return Result.FAILED if report.when == "call" else Result.ERROR


def message_of(report: pytest.TestReport) -> str:
    """Return why a test did not pass, or an empty text."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # of a skip: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longreprtext)[:_MESSAGE_CHARACTERS]


def _location(report: pytest.TestReport) -> str:
    """Return the last line of the test's own file that was on the way to the failure: FILE:LINE."""
    if not report.failed:
        return ""
    file = report.nodeid.partition("::")[0]
    traceback = getattr(report.longrepr, "reprtraceback", None)
    places = [getattr(entry, "reprfileloc", None) for entry in getattr(traceback, "reprentries", ())]
    own = [place for place in places if place is not None and Path(file).name == Path(place.path).name]
    return f"{file}:{own[-1].lineno if own else (report.location[1] or 0) + 1}"
