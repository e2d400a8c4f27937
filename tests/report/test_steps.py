"""What steps of upgrades took, in the history, in the summary and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.history import Event
from vdc.report import RunResult, ScenarioResult, render_summary
from vdc.report.html import render_html
from vdc.report.result import Result, steps_of
from vdc.report.stored import load, save, steps_in

from .run_of import leave

EXPECTED = Path(__file__).parent / "expected"
TEST = "scenarios/upgrade/test_components.py::test_etcd_alone"


def step(time: float, name: str, phase: str) -> Event:
    return Event(time=time, kind="step", source="harness", data={"name": name, "phase": phase})


def scenario(time: float, phase: str, test: str = TEST) -> Event:
    return Event(time=time, kind="scenario", source="harness", data={"test": test, "phase": phase})


HISTORY = (
    step(0.0, "deploy", "start"),
    step(9.0, "deploy", "done"),
    scenario(10.0, "start"),
    step(10.0, "upgrade a", "start"),
    step(11.0, "a: restart", "start"),
    step(13.5, "a: restart", "done"),
    step(14.0, "upgrade a", "done"),
    step(14.0, "wait", "start"),
    step(15.0, "wait", "failed"),
    step(15.0, "wait", "start"),
    step(17.0, "wait", "done"),
    step(17.0, "never ends", "start"),
    scenario(18.0, "done"),
    step(19.0, "down", "start"),
    step(20.0, "down", "done"),
)
STEPS = {"upgrade a": 4.0, "a: restart": 2.5, "wait": 3.0}


@pytest.fixture
def run() -> RunResult:
    tried = ScenarioResult(
        test=TEST,
        suite="upgrade",
        outcome=Result.PASSED,
        duration=8.0,
        tries=("etcd-3.5/plain",),
        steps={**STEPS, "brief": 0.4, "brief, and slower": 0.9},
        usual={"upgrade a": 3.0, "a: restart": 2.4, "brief, and slower": 0.3},
    )
    other = replace(tried, test="scenarios/reboot/test_reboot.py::test_reboot", tries=())
    return RunResult(
        name="dctest", topology="small", host="h", accelerator="tcg", slowness=1.0, scenarios=(tried, other)
    )


def test_steps_are_those_of_a_scenario_added_up_by_name() -> None:
    assert steps_of(HISTORY) == {TEST: STEPS}
    assert list(steps_of(HISTORY)[TEST]) == list(STEPS)


def test_only_the_last_attempt_of_a_scenario_counts() -> None:
    again = [replace(event, time=event.time + 100) for event in HISTORY if event.data.get("name") != "wait"]
    assert steps_of([*HISTORY, *again]) == {TEST: {"upgrade a": 4.0, "a: restart": 2.5}}


def test_steps_are_read_from_each_history_of_a_run(tmp_path: Path) -> None:
    samples = [Event(time=12.0, kind="op", source="probe", data={"phase": "start"})]
    leave(tmp_path, [*HISTORY, *samples])
    leave(tmp_path, [scenario(1.0, "start", "b"), step(1.0, "x", "start"), step(2.0, "x", "done")], "gw1-history.jsonl")
    assert steps_in(tmp_path) == {TEST: STEPS, "b": {"x": 1.0}}
    assert steps_in(tmp_path / "nowhere") == {}


def test_the_summary_flags_what_took_longer_than_usual(run: RunResult, golden: Golden) -> None:
    golden(EXPECTED / "steps.md", render_summary(run))


def test_the_page_has_them_too(run: RunResult) -> None:
    page = render_html(run)
    assert page.count('<tr class="missed"><th scope="row">etcd alone</th><td>upgrade a</td>') == 1
    assert page.count("<td>a: restart</td>") == 1
    assert "Steps of upgrades" not in render_html(replace(run, scenarios=run.scenarios[1:]))


def test_they_are_stored_with_the_run(run: RunResult, tmp_path: Path) -> None:
    save(run, tmp_path)
    assert load(tmp_path) == run
