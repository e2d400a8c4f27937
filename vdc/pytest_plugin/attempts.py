"""What scenarios of upgrades tried: noted with their reports, compared with the nights before, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

import vdc
from vdc.errors import InputError
from vdc.report import RunResult, ScenarioResult
from vdc.report.result import Result
from vdc.settings import Settings
from vdc.upgrade.attempts import Tried, usual
from vdc.upgrade.coverage import read, record
from vdc.upgrade.paths import path as path_of

TRIES: Final = "tries"
"""The name of the properties of a test that tell which path it tries, and how: PATH/VARIANT."""

_MARKER: Final = "upgrades"
_SHORTEST: Final = 0.1  # seconds of a step worth keeping


class Attempts:
    """In a process that runs scenarios: notes with each what it tries, for the process that reports."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note it before anything of the scenario can fail."""
        item.user_properties += [(TRIES, "/".join(mark.args)) for mark in item.iter_markers(_MARKER)]


def tries_of(report: pytest.TestReport) -> tuple[str, ...]:
    """Return what a test tried: paths with their variants."""
    return tuple(str(value) for name, value in report.user_properties if name == TRIES)


def compared(run: RunResult, settings: Settings) -> RunResult:
    """Return a run with what the steps of its upgrades usually take, and record what was tried.

    Raises InputError: a scenario names a path that there is not.
    """
    if not any(scenario.tries for scenario in run.scenarios):
        return run
    history, when = read(settings), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    scenarios: list[ScenarioResult] = []
    for scenario in run.scenarios:
        attempts = _attempts(run, scenario, when)
        for each in attempts:
            record(settings, each)
        times = {step: seconds for each in attempts for step, seconds in usual(history, each).items()}
        scenarios.append(replace(scenario, usual=times))
    return replace(run, scenarios=tuple(scenarios))


def _attempts(run: RunResult, scenario: ScenarioResult, when: str) -> Sequence[Tried]:
    if scenario.outcome is Result.SKIPPED:
        return ()
    found: list[Tried] = []
    for name, _, variant in (each.partition("/") for each in scenario.tries):
        path = path_of(name)
        if variant not in path.variants:
            raise InputError(f'path "{name}" has no variant "{variant}"', hint=f"there are {', '.join(path.variants)}")
        found.append(
            Tried(
                path=name,
                variant=variant,
                origin=path.origin,
                target=path.target,
                topology=run.topology,
                when=when,
                verdict=str(scenario.outcome),
                seconds=round(scenario.duration, 3),
                steps={step: round(seconds, 3) for step, seconds in scenario.steps.items() if seconds >= _SHORTEST},
                vdc=vdc.__version__,
                host=run.accelerator,
            )
        )
    return found
