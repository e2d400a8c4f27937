"""What programs read of a run: annotations of GitHub, and JUnit's properties."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from tests.report.run_of import run_of
from vdc.report import RunResult
from vdc.report.annotations import render_annotations
from vdc.report.junit import with_properties
from vdc.report.result import Result
from vdc.testing.histories import history


@pytest.fixture(scope="module")
def run() -> RunResult:
    return run_of(history(seconds=200, period=10))


def test_an_annotation_names_the_line_that_failed_and_cannot_be_ended_by_its_text(run: RunResult) -> None:
    bad = replace(run.scenarios[2], message="100 % lost:\nsee, there ::error::")
    (line,) = render_annotations(replace(run, scenarios=(run.scenarios[0], bad)))
    assert line == (
        "::error file=scenarios/fault/test_servers.py,line=41,title=a crashed leader is replaced%3A failed"
        "::100 %25 lost:%0Asee, there ::error::"
    )


@pytest.mark.parametrize(
    ("outcome", "level"),
    [(Result.ERROR, "error"), (Result.INCONCLUSIVE, "warning"), (Result.QUARANTINED, "notice")],
)
def test_a_scenario_without_a_line_is_annotated_at_its_file(run: RunResult, outcome: Result, level: str) -> None:
    one = replace(run.scenarios[0], outcome=outcome, note="until 2027-01-01: https://example.org/1")
    (line,) = render_annotations(replace(run, scenarios=(one,)))
    assert line.startswith(f"::{level} file=scenarios/fault/test_fabric_faults.py,title=")
    assert line.endswith("::until 2027-01-01: https://example.org/1")


def test_what_passed_is_not_annotated(run: RunResult) -> None:
    assert list(render_annotations(replace(run, scenarios=run.scenarios[:2]))) == []


JUNIT = (
    '<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="2">'
    '<testcase classname="scenarios.fault.test_servers" name="test_a_crashed_leader_is_replaced" time="1">'
    '<properties><property name="seed" value="7" /></properties><failure message="a &lt; b">x</failure></testcase>'
    '<testcase classname="other" name="test_it" time="1" /></testsuite></testsuites>'
)


def test_properties_of_the_run_and_of_its_scenarios_are_added_to_what_pytest_wrote(run: RunResult) -> None:
    root = ET.fromstring(with_properties(JUNIT, run))
    (suite,) = root.iter("testsuite")
    of_run = {each.get("name"): each.get("value") for each in suite.findall("properties/property")}
    assert of_run["verdict"] == run.verdict
    assert of_run["topology"] == "small"
    assert of_run["seconds total"] == "300.000"
    assert of_run["version os"] == "debian-12, debian-12 → debian-13"
    scenario, other = suite.findall("testcase")
    of_scenario = {each.get("name"): each.get("value") for each in scenario.findall("properties/property")}
    assert of_scenario == {
        "seed": "7",
        "verdict": "failed",
        "suite": "fault",
        "longest_outage": "3.410",
        "location": "scenarios/fault/test_servers.py:41",
    }
    assert other.find("properties") is None
    assert [each.get("message") for each in suite.iter("failure")] == ["a < b"]
