"""Runs each scenario and says what came of it: of its body, of the consoles, and of this host.

A scenario whose host was starved proves nothing, whichever way it ended: it runs once more, on a data centre that is
restored, while no other process of this run runs one; the report says so in any case. One in quarantine may fail, until
its quarantine expires.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import pytest
from _pytest.runner import call_and_report

from vdc.errors import ClusterError, HarnessTimeout, VdcError, WaitTimeout
from vdc.observe.verdict import UnsafeError
from vdc.pytest_plugin import uses_dc
from vdc.pytest_plugin.holding import Holding
from vdc.pytest_plugin.hooks import Hooks
from vdc.pytest_plugin.options import options
from vdc.pytest_plugin.reporting import NOTE, RERUN, VERDICT, message_of, tell
from vdc.pytest_plugin.rulings import allowed_of, quarantine_of, ruled
from vdc.pytest_plugin.watching import Watcher, alone, among_others
from vdc.report.result import Result

_THE_CLUSTERS: Final = (AssertionError, ClusterError, WaitTimeout, pytest.fail.Exception)
"""What a body raises where the cluster is at fault; all else is the harness's or the data centre's, and so
is a HarnessTimeout."""


class Verdicts:
    """Runs scenarios, in the process that has their data centre."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_error = self._is_unsafe = False
        self._holding = Holding(config)

    @cached_property
    def _run_directory(self) -> Path:
        return options(self._config).run_directory

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse quarantines without an issue or an end, and unknown console rules, before anything is built."""
        for item in items:
            quarantine_of(item)
            allowed_of(item)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse to run where the scenario to wait before is not among those that run."""
        self._holding.expect_scenario(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a scenario: once, or twice if the first time proves nothing."""
        if not uses_dc(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        properties = list(item.user_properties)
        with among_others(self._run_directory):
            why = self._attempt(item, nextitem, first="")
        if why:
            tell(self._config, f"  inconclusive: {why}; it runs again, alone")
            item.user_properties[:] = properties
            if (hooks := self._hooks()) is not None:
                with suppress(VdcError):  # what does not go now is told by the set-up that follows
                    hooks.session.free()  # whoever waits for its room would never let this one be alone
            with alone(self._run_directory):
                self._attempt(item, nextitem, first=why)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note whether what ended a body badly was the harness, or something that is never excused."""
        report = yield
        if call.when == "call":
            error = call.excinfo.value if call.excinfo else None
            self._is_error = error is not None and (
                isinstance(error, HarnessTimeout) or not isinstance(error, _THE_CLUSTERS)
            )
            self._is_unsafe = isinstance(error, UnsafeError)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Name the outcome that pytest has no word for; the second time it counts as a failure, but is none."""
        if str(report.outcome) == RERUN:
            return RERUN, "R", "INCONCLUSIVE"
        if report.failed and report.when == "call" and (VERDICT, str(Result.INCONCLUSIVE)) in report.user_properties:
            return "failed", "I", "INCONCLUSIVE"
        return None

    def _attempt(self, item: pytest.Item, nextitem: pytest.Item | None, *, first: str) -> str:
        """Run a scenario and report it; return why it must run again, or an empty text.

        `first` is why the first attempt proved nothing, if this is another one.
        """
        again = ""
        if (hooks := self._hooks()) is not None:
            hooks.attempt = 2 if first else 1
        with _requested(item):
            ready = call_and_report(item, "setup")
            if ready.failed:
                self._after_failure(item, ready)
            if ready.passed:
                called, verdict, why = self._call(item, attempt=2 if first else 1)
                again = _told(called, why) if verdict is Result.INCONCLUSIVE and not first and not _stops(item) else ""
                note = f"{verdict} on a rerun{self._not_restored()}; the first time: {first}"
                note = note + (f"; now: {why}" if why else "") if first else why
                # the report of the teardown has them, too: JUnit's are those
                item.user_properties += [(VERDICT, str(verdict)), *([(NOTE, note)] if note else [])]
                called.user_properties = list(item.user_properties)
                _express(called, verdict, note)
                if again:
                    called.outcome = RERUN  # type: ignore[assignment]
                item.ihook.pytest_runtest_logreport(report=called)
                if called.failed:
                    self._after_failure(item, called)
            # with the session as the next one, the module ends, and the second attempt finds what is restored
            following = None if _stops(item) else cast(pytest.Item, item.session) if again else nextitem
            ended = call_and_report(item, "teardown", log=False, nextitem=following)
        if ended.failed or not again:  # what follows belongs to the same entry of JUnit's
            item.ihook.pytest_runtest_logreport(report=ended)
        return again

    def _call(self, item: pytest.Item, *, attempt: int) -> tuple[pytest.TestReport, Result, str]:
        """Run the body; return pytest's report, the verdict, and why it is another than pytest's."""
        hooks = self._hooks()
        dc = hooks.session.dc if hooks is not None else None
        if hooks is None or dc is None:  # of a fixture of somebody's own
            report = call_and_report(item, "call", log=False)
            return report, self._outcome(report), ""
        self._holding.before(item, hooks.session)
        vigil = hooks.session.vigil
        vigil.look()
        watcher = Watcher(dc, vigil.logs)
        dc.recorder.record("scenario", "harness", test=item.nodeid, phase="start", attempt=attempt)
        report = call_and_report(item, "call", log=False)
        outcome = self._outcome(report)
        seen = replace(watcher.seen(allowed_of(item), patient=report.failed), unsafe=self._is_unsafe)
        vigil.attended(watcher.logs, allowed_of(item))
        verdict, why = ruled(outcome, seen, quarantine_of(item), datetime.now(UTC).date())
        if report.passed and verdict is not Result.PASSED:  # pytest's own failures are looked after already
            hooks.session.spoil()
            report.sections.append(("vdc artifacts", hooks.gather(item)))
        told = {"why": why} if why else {}
        dc.recorder.record(
            "scenario", "harness", test=item.nodeid, phase="done", attempt=attempt, outcome=str(verdict), **told
        )
        return report, verdict, why

    def _after_failure(self, item: pytest.Item, report: pytest.TestReport) -> None:
        hooks = self._hooks()
        if hooks is not None and hooks.session.dc is not None:
            said = next(iter(message_of(report).splitlines()), "it did not pass")
            self._holding.after_failure(hooks.session, f"{item.nodeid}: {said}")

    def _outcome(self, report: pytest.TestReport) -> Result:
        if report.skipped:
            return Result.SKIPPED
        if not report.failed:
            return Result.PASSED
        return Result.ERROR if self._is_error else Result.FAILED

    def _not_restored(self) -> str:
        return " (nothing was restored)" if options(self._config).topology is None else ""

    def _hooks(self) -> Hooks | None:
        hooks = self._config.pluginmanager.get_plugin("vdc-session")
        return hooks if isinstance(hooks, Hooks) else None


@contextmanager
def _requested(item: pytest.Item) -> Iterator[None]:
    """Give a test its fixtures, also where it has run before, and let them go."""
    request: Any = item  # pytest does this for what is run again; it has no public name
    if not request._request:  # noqa: SLF001
        request._initrequest()  # noqa: SLF001
    try:
        yield
    finally:
        request._request = False  # noqa: SLF001
        request.funcargs = None


def _stops(item: pytest.Item) -> bool:
    return bool(item.session.shouldfail or item.session.shouldstop)


def _told(report: pytest.TestReport, why: str) -> str:
    """Return why an attempt proves nothing, and what it said, if it said something."""
    said = next(iter(message_of(report).splitlines()), "")
    return f"{why}; it said: {said}" if said else why


def _express(report: pytest.TestReport, verdict: Result, note: str) -> None:
    """Let pytest's own report say what the verdict is: what did not pass must not end with status 0."""
    if verdict is Result.QUARANTINED:
        # as pytest has it for what is expected to fail: the run goes on to pass, and says that this did not
        report.outcome, report.wasxfail = "skipped", note
    elif verdict in {Result.FAILED, Result.ERROR, Result.INCONCLUSIVE}:
        if not report.failed:
            report.outcome, report.longrepr = "failed", f"{verdict}: {note}"
        elif note:
            report.sections.append(("vdc verdict", f"{verdict}: {note}"))
