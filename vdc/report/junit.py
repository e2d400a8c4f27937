"""What a JUnit file tells besides which tests failed: properties, for the programs that read such files. Pure.

pytest writes the file, and what a test recorded; under pytest-xdist it knows no properties of the whole (pytest issue
7767), so they are added to what it wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree import ElementTree as ET

from vdc.report.result import RunResult, ScenarioResult, version_changes

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no character for: a guest's console may say it."""


def with_properties(text: str, run: RunResult) -> str:
    """Return a JUnit file with the properties of the run, and those of each scenario that it did not record."""
    root = ET.fromstring(text)  # noqa: S314 - pytest wrote it a moment ago
    scenarios = {_case(scenario.test): scenario for scenario in run.scenarios}
    for suite in root.iter("testsuite"):
        _add(suite, dict(_of_run(run)))
    for case in root.iter("testcase"):
        scenario = scenarios.get((case.get("classname", ""), case.get("name", "")))
        if scenario is not None:
            _add(case, dict(_of_scenario(scenario)))
    return '<?xml version="1.0" encoding="utf-8"?>' + ET.tostring(root, encoding="unicode")


def _of_run(run: RunResult) -> Iterator[tuple[str, str]]:
    yield "verdict", run.verdict
    for name in ("name", "topology", "cluster", "host", "accelerator"):
        if value := getattr(run, name):
            yield name, value
    yield "slowness", f"{run.slowness:.2f}"
    if run.seed is not None:
        yield "seed", str(run.seed)
    for phase, seconds in run.durations.items():
        yield f"seconds {phase}", f"{seconds:.3f}"
    for component, by_server in version_changes(run).items():
        yield f"version {component}", ", ".join(sorted(set(by_server.values())))


def _of_scenario(scenario: ScenarioResult) -> Iterator[tuple[str, str]]:
    yield "verdict", str(scenario.outcome)
    if scenario.suite:
        yield "suite", scenario.suite
    if scenario.outages:
        yield "longest_outage", f"{max(scenario.outages.values()):.3f}"
    if scenario.location:
        yield "location", scenario.location


def _case(test: str) -> tuple[str, str]:
    """Return what pytest calls a test in JUnit: its module and class, and its name."""
    path, *names = test.split("::")
    return ".".join((path.removesuffix(".py").replace("/", "."), *names[:-1])), names[-1] if names else ""


def _add(element: ET.Element, properties: Mapping[str, str]) -> None:
    found = element.find("properties")
    if found is None:
        found = ET.Element("properties")
        element.insert(0, found)
    there = {each.get("name") for each in found}
    for name, value in ((name, value) for name, value in properties.items() if name not in there):
        ET.SubElement(found, "property", name=_FORBIDDEN.sub("", name), value=_FORBIDDEN.sub("", value))
