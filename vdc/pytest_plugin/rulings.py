"""From what was seen of a scenario to its verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from vdc.observe.consoles import expect_rules
from vdc.report.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """A scenario may fail because of `issue`, up to and including the day `until`."""

    issue: str
    until: date

    def __str__(self) -> str:
        return f"quarantine until {self.until} for {self.issue}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen while a body ran: how the host was starved, what consoles said against the rules, and whether a
    checker of safety found something (`vdc.observe.verdict.SAFETY`).
    """

    starved: str = ""
    console: str = ""
    unsafe: bool = False


def ruled(outcome: Result, seen: Seen, quarantine: Quarantine | None, today: date) -> tuple[Result, str]:
    """Return the verdict on a body that ended so, and why it is another than that.

    A starved host excuses what was too slow: not what consoles must never say, nor what is unsafe, nor the harness.
    """
    if quarantine is not None and today > quarantine.until:
        return Result.FAILED, f"its {quarantine} has expired"
    if outcome is Result.SKIPPED:
        return outcome, ""
    if seen.starved and not (seen.console or seen.unsafe or outcome is Result.ERROR):
        return Result.INCONCLUSIVE, seen.starved
    why = "; ".join(filter(None, (seen.console, seen.starved)))
    if seen.console and outcome is Result.PASSED:
        outcome = Result.FAILED
    if quarantine is None:
        return outcome, why
    if outcome is Result.FAILED:
        return Result.QUARANTINED, "; ".join(filter(None, (str(quarantine), why)))
    return outcome, f"passed in {quarantine}" if outcome is Result.PASSED else why


def allowed_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the console rules that markers of a test allow. Raises pytest.UsageError: there is no such rule."""
    names = tuple(rule for mark in item.iter_markers("console_may_say") for rule in mark.args)
    try:
        expect_rules(names)
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: console_may_say: {error}") from error
    return names


def quarantine_of(item: pytest.Item) -> Quarantine | None:
    """Return the quarantine that the marker of a test says. Raises pytest.UsageError: it lacks a link or a date."""
    mark = item.get_closest_marker("quarantine")
    if mark is None:
        return None
    try:
        (issue,) = mark.args
        until = date.fromisoformat(mark.kwargs["until"])
    except (ValueError, KeyError, TypeError):
        issue, until = "", date.min
    if "://" not in str(issue):
        raise pytest.UsageError(
            f'{item.nodeid}: a quarantine is quarantine("https://… of the issue", until="YYYY-MM-DD")'
        )
    return Quarantine(issue=issue, until=until)
