"""The page, word for word, and what nothing in it may do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Golden
from tests.report.run_of import EVIL, ROOT, run_of
from vdc.history import Event
from vdc.model.load import read_topology
from vdc.report import RunResult
from vdc.report.html import Track, devices_of, render_html, tell
from vdc.report.html.page import listed, seconds
from vdc.report.result import Result
from vdc.testing.histories import history

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return [*history(seconds=200, period=0.2), Event(time=1060.0, kind="note", source=EVIL, data={"text": EVIL})]


@pytest.fixture(scope="module")
def run(events: list[Event]) -> RunResult:
    return run_of(events)


@pytest.fixture(scope="module")
def page(run: RunResult, events: list[Event]) -> str:
    return render_html(run, [Track(name="", story=tell(events, devices=devices_of(run.picture)))])


class Elements(HTMLParser):
    """Counts elements as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return dict(json.loads(text))


def test_the_part_that_needs_no_script_reads_as_expected(page: str, golden: Golden) -> None:
    bare = re.sub(r"<(style|script)\b([^>]*)>.*?</\1>", r"<\1\2></\1>", page, flags=re.DOTALL)
    golden(HERE / "expected" / "page.html", re.sub(r"\n\s*\n+", "\n", bare))


def test_nothing_that_was_recorded_becomes_an_element(page: str) -> None:
    elements = Elements()
    elements.feed(page)
    assert elements.found.count("script") == 2
    assert elements.links == []
    assert "img" not in elements.found


def test_what_was_recorded_reaches_the_script_as_it_was(page: str) -> None:
    (track,) = data_of(page)["tracks"]
    assert any(event[2] == EVIL for event in track["events"])


def test_a_page_without_a_history_has_no_time_line(run: RunResult) -> None:
    page = render_html(run)
    assert 'id="timeline"' not in page
    assert data_of(page)["tracks"] == []


def test_a_page_of_a_run_without_scenarios_says_so(run: RunResult) -> None:
    assert "No scenario was run." in render_html(replace(run, scenarios=(), durations={}, picture=""))


@pytest.mark.parametrize(
    ("outcome", "word"), [(Result.PASSED, "Passed"), (Result.INCONCLUSIVE, "Inconclusive"), (Result.ERROR, "Failed")]
)
def test_the_verdict_stands_on_top(run: RunResult, outcome: Result, word: str) -> None:
    one = replace(run.scenarios[0], outcome=Result.PASSED)
    page = render_html(replace(run, scenarios=(one, replace(one, test="b", outcome=outcome))))
    assert word in page[page.index("<h1>") : page.index("</h1>")]


def test_data_centres_side_by_side_share_a_clock(run: RunResult, events: list[Event]) -> None:
    later = [replace(event, time=event.time + 5) for event in events if event.kind != "op"]
    page = render_html(run, [Track(name="gw0", story=tell(events)), Track(name="gw1", story=tell(later))])
    first, second = data_of(page)["tracks"]
    assert (first["name"], second["name"]) == ("gw0", "gw1")
    assert second["events"][0][0] - first["events"][0][0] == pytest.approx(5)


@pytest.mark.parametrize("name", ["small", "k8s-small", "dual"])
def test_every_device_of_a_topology_is_found_in_its_picture(name: str) -> None:
    from vdc.graph import draw

    file = ROOT / "topologies" / f"{name}.yml"
    if not file.exists():
        pytest.fail(f"{file} is gone")
    topology = read_topology(file, ())
    devices = {*(each.name for each in topology.servers), *(each.name for each in topology.routers)}
    assert devices <= set(devices_of(draw(topology, "svg")))


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.0, "0.00 s"), (9.994, "9.99 s"), (61.04, "61.0 s"), (125.0, "2 min 05 s")]
)
def test_durations_are_as_exact_as_they_deserve(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_many_names_are_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed("abcdef") == "a, b, c and 3 more"
