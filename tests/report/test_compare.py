"""What is told of two runs, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Golden
from tests.report.run_of import run_of
from vdc.report import RunResult, ScenarioResult
from vdc.report.compare import compare, render_difference
from vdc.report.result import Result
from vdc.testing.histories import history

EXPECTED = Path(__file__).parent / "expected"


@pytest.fixture(scope="module")
def before() -> RunResult:
    return run_of(history(seconds=200, period=10))


def changed(run: RunResult, at: int, **changes: object) -> RunResult:
    scenarios = list(run.scenarios)
    scenarios[at] = replace(scenarios[at], **changes)  # type: ignore[arg-type]
    return replace(run, scenarios=tuple(scenarios))


def test_a_run_does_not_differ_from_itself(before: RunResult) -> None:
    assert compare(before, before) == ()
    assert "Nothing is different." in render_difference(before, before)


def test_all_that_differs_is_told(before: RunResult, golden: Golden) -> None:
    after = changed(before, 0, duration=80.0, outages={"write_outage": 0.5, "read_outage": 0.35})
    after = changed(after, 2, outcome=Result.PASSED)
    new = ScenarioResult(test="a.py::test_brand|new", suite="fault", outcome=Result.FAILED, duration=1)
    after = replace(
        after,
        name="dctest-2",
        scenarios=(after.scenarios[0], after.scenarios[2], new),
        durations={**before.durations, "prepare": 0.2, "total": 500.0},
        versions_after={},
    )
    golden(EXPECTED / "difference.md", render_difference(before, after))


@pytest.mark.parametrize(
    ("seconds", "told"), [(77.0, 0), (78.5, 1), (46.5, 0), (45.0, 1)], ids=["a bit", "slower", "a bit less", "faster"]
)
def test_a_duration_is_told_from_thirty_percent_on(before: RunResult, seconds: float, told: int) -> None:
    assert len(compare(before, changed(before, 0, duration=seconds))) == told


def test_a_short_outage_that_doubles_is_noise(before: RunResult) -> None:
    short = changed(before, 0, outages={"write_outage": 0.03})
    assert compare(short, changed(before, 0, outages={"write_outage": 0.08})) == ()


@pytest.mark.parametrize(
    ("outcome", "worse"), [(Result.FAILED, True), (Result.INCONCLUSIVE, True), (Result.SKIPPED, None)]
)
def test_an_outcome_that_turned_bad_is_for_the_worse(before: RunResult, outcome: Result, worse: bool | None) -> None:
    (found,) = compare(before, changed(before, 0, outcome=outcome))
    assert (found.kind, found.worse) == ("outcome", worse)
