"""The summary and the last screen, word for word."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from tests.conftest import Golden
from vdc.report import (
    FIRST_SCENARIO,
    FROM_CHECKPOINT,
    FROM_NOTHING,
    STANDARD_SUITE,
    EventOutage,
    RunResult,
    ScenarioResult,
    merged,
    render_screen,
    render_summary,
)
from vdc.report.junit import with_properties
from vdc.report.result import Result

EXPECTED = Path(__file__).parent / "expected"
EVENTS = (
    EventOutage(event="rack0-cs0 shutdown", write=2.5, read=1.25),
    EventOutage(event="rack1-cs0 on | off", write=3.0, read=None),
)


def scenario(name: str, **changes: object) -> ScenarioResult:
    base = ScenarioResult(
        test=f"scenarios/fault/test_x.py::test_{name}", suite="fault", outcome=Result.PASSED, duration=12.34
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def versions(os: str, etcd: str) -> dict[str, dict[str, str]]:
    return {f"rack{rack}-cs0": {"os": os, "etcd": etcd} for rack in range(3)}


@pytest.fixture
def run() -> RunResult:
    return RunResult(
        name="small",
        topology="small",
        host="Debian 12, kernel 6.1, 2 cores, 8 GiB",
        accelerator="tcg",
        slowness=1.125,
        scenarios=(
            scenario("every_session_is_up", suite="standard"),
            scenario("one_tor_gone_keeps_the_rack_serving", outages={"outage": 1.236}),
            scenario("rolling_upgrade", suite="upgrade", outages={"rack0-cs0": 2.5, "rack1-cs0": 3.0}, events=EVENTS),
        ),
        durations={"fabric": 1.5, "up": 61.2, "deploy": 20.0, "down": 3.04, "total": 500.25},
        versions_before=versions("Debian 12", "3.4.23"),
        versions_after=versions("Debian 13", "3.5.16"),
    )


@pytest.fixture
def failed(run: RunResult) -> RunResult:
    bad = scenario(
        "leader_cut_off",
        outcome=Result.FAILED,
        outages={"outage": 42.0},
        message="AssertionError: no write for 42 s | 10 s allowed\n```\nmore",
    )
    broken = scenario("after_that", outcome=Result.ERROR, message="DirtyError: leader_cut_off did not heal")
    skipped = scenario("loss_on_a_link", outcome=Result.SKIPPED)
    return replace(run, scenarios=(*run.scenarios, bad, broken, skipped), versions_after={})


@pytest.fixture
def kubernetes() -> RunResult:
    has = {"os": "12", "kernel": "6.1.0", "kubernetes": "1.20.2", "containerd": "1.6.20"}
    return RunResult(
        name="k8s-small",
        topology="k8s-small",
        host="Debian 12, kernel 6.1, 2 cores, 8 GiB",
        accelerator="tcg",
        slowness=1.0,
        scenarios=(scenario("every_node_is_ready", suite="standard"),),
        durations={
            "prepare": 1.0,
            FROM_CHECKPOINT: 13.5,
            "scenarios": 270.0,
            STANDARD_SUITE: 310.0,
            "down": 1.0,
            "total": 320.0,
        },
        versions_before={"rack0-cp0": {**has, "etcd": "3.4.23"}, "rack1-cs0": has, "rack2-ss0": has},
        cluster="kubernetes",
        timers={"etcd election": "5 s (default 1 s)", "node grace period": "80 s (default 40 s)"},
        deselected={
            "scenarios/reboot/test_reboot.py::test_all_servers_start_again_from_dark": "it probes etcd | kubernetes",
            "scenarios/fault/test_x.py::test_a_rack_is_lost": "it probes etcd | kubernetes",
        },
    )


@pytest.fixture
def starved(run: RunResult) -> RunResult:
    late = "the harness stood still for 3.0 s"
    again = scenario("one_spine_gone", note=f"passed on a rerun; the first time: {late}")
    twice = scenario("leader_gone", outcome=Result.INCONCLUSIVE, message=f"inconclusive: {late}", note=late)
    known = scenario(
        "upgrade_twice",
        outcome=Result.QUARANTINED,
        message="AssertionError: 3 | 4",
        note="quarantine until 2026-12-31 for https://example.org/7",
    )
    return replace(run, scenarios=(*run.scenarios[:1], again, twice, known))


def screen(run: RunResult) -> str:
    console = Console(file=io.StringIO(), width=80, height=24, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(render_screen(run))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


@pytest.mark.parametrize("case", ["run", "failed", "kubernetes", "starved"])
def test_the_summary_reads_as_expected(case: str, request: pytest.FixtureRequest, golden: Golden) -> None:
    golden(EXPECTED / f"{case}.md", render_summary(request.getfixturevalue(case)))


@pytest.mark.parametrize("case", ["run", "failed", "kubernetes", "starved"])
def test_the_last_screen_reads_as_expected(case: str, request: pytest.FixtureRequest, golden: Golden) -> None:
    golden(EXPECTED / f"{case}.txt", screen(request.getfixturevalue(case)))


@pytest.mark.parametrize("failures", [0, 1, 10, 40])
def test_the_last_screen_fits_a_terminal_of_24_lines(run: RunResult, failures: int) -> None:
    good = tuple(scenario(f"good_{'long ' * 30}{number}") for number in range(20))
    bad = tuple(scenario(f"bad_{number}", outcome=Result.FAILED, message="why " * 100) for number in range(failures))
    told = {"timers": {"etcd election": "5 s"}, "deselected": {f"test_{reason}": f"{reason}" for reason in range(4)}}
    text = screen(replace(run, scenarios=(*good, *bad), **told))  # type: ignore[arg-type]
    assert len(text.splitlines()) <= 23
    assert text.count("bad ") >= min(failures, 12)


def test_the_outage_of_an_event_is_told_in_one_line() -> None:
    assert [str(event) for event in EVENTS] == [
        "rack0-cs0 shutdown: write 2.50 s, read 1.25 s",
        "rack1-cs0 on | off: write 3.00 s",
    ]


def test_a_run_in_which_everything_passed_has_passed(run: RunResult) -> None:
    assert run.passed
    assert run.verdict == "PASSED: 3 passed of 3"


@pytest.mark.parametrize("outcome", [Result.FAILED, Result.ERROR])
def test_one_scenario_that_did_not_pass_fails_the_run(run: RunResult, outcome: Result) -> None:
    assert not replace(run, scenarios=(*run.scenarios, scenario("x", outcome=outcome))).passed


def test_a_run_of_which_something_proves_nothing_is_inconclusive_unless_something_failed(starved: RunResult) -> None:
    assert not starved.passed
    assert starved.inconclusive
    assert starved.verdict == "INCONCLUSIVE: 2 passed, 1 inconclusive, 1 quarantined of 4"
    failed = replace(starved, scenarios=(*starved.scenarios, scenario("x", outcome=Result.ERROR)))
    assert not failed.inconclusive
    assert failed.verdict.startswith("FAILED: 2 passed, 1 error, 1 inconclusive")


def test_what_is_in_quarantine_fails_no_run(starved: RunResult) -> None:
    assert replace(starved, scenarios=tuple(each for each in starved.scenarios if each.title != "leader gone")).passed


def test_a_run_without_scenarios_has_failed(run: RunResult) -> None:
    empty = replace(run, scenarios=())
    assert not empty.passed
    assert empty.verdict == "FAILED: no scenario was run"


def test_a_run_that_skipped_everything_has_failed(run: RunResult) -> None:
    assert not replace(run, scenarios=(scenario("x", outcome=Result.SKIPPED),)).passed


@pytest.mark.parametrize(
    ("topology", "cluster", "targets"),
    [
        ("small", "etcd", {"answering": 90.0, "total": 600.0}),
        ("small", "", {"answering": 90.0, "total": 600.0}),
        ("k8s-small", "kubernetes", {FROM_NOTHING: 360.0, FROM_CHECKPOINT: 20.0, STANDARD_SUITE: 300.0}),
        ("k8s", "kubernetes", {FROM_NOTHING: 900.0}),
    ],
)
def test_a_run_has_the_targets_of_its_topology(
    run: RunResult, topology: str, cluster: str, targets: dict[str, float]
) -> None:
    assert replace(run, topology=topology, cluster=cluster).targets == {"fabric": 3.0, "down": 3.0, **targets}


@pytest.mark.parametrize(("topology", "cluster"), [("mine", "kubernetes"), ("small", "script"), ("k8s-small", "etcd")])
def test_nobody_says_how_long_another_run_may_take(run: RunResult, topology: str, cluster: str) -> None:
    other = replace(run, topology=topology, cluster=cluster)
    assert other.targets == {}
    assert "arget" not in render_summary(other).replace("| target |", "")
    assert "fabric 1.5 s" in screen(other)


def test_runs_side_by_side_are_one_whose_phases_took_as_long_as_the_slowest(run: RunResult) -> None:
    one = replace(run, name="a-gw0", durations={"deployed": 5.0, FIRST_SCENARIO: 9.0}, versions_after={})
    two = replace(run, name="a-gw1", durations={"deployed": 6.0, FIRST_SCENARIO: 8.0, "down": 1.0})
    both = merged([one, two])
    assert both.name == "a-gw0, a-gw1"
    assert both.durations == {"deployed": 6.0, FIRST_SCENARIO: 8.0, "down": 1.0}
    assert both.versions_after == run.versions_after
    assert both.scenarios == run.scenarios * 2
    assert merged([replace(one, deselected={"a": "x"}), replace(two, deselected={"b": "x"})]).deselected == {
        "a": "x",
        "b": "x",
    }
    assert merged([run]) == run


def test_what_a_guest_says_breaks_neither_the_screen_nor_xml_nor_markdown(run: RunResult) -> None:
    said = "a \x1b[31m\x00`<b>`|&"
    odd = replace(run, host=said, scenarios=(scenario("it", outcome=Result.FAILED, message=" \n ", location=said),))
    text = with_properties('<testsuite><testcase classname="scenarios.fault.test_x" name="test_it"/></testsuite>', odd)
    assert {each.get("name"): each.get("value") for each in ET.fromstring(text).iter("property")}[
        "location"
    ] == "a [31m`<b>`|&"
    Console(file=io.StringIO()).print(render_screen(odd))
    assert "\\`&lt;b&gt;\\`\\|&amp;" in render_summary(odd)
