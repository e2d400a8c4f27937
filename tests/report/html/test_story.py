"""What a history tells: lanes, a list of what happened, and how devices were."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.history import Event
from vdc.report.html import tell
from vdc.report.html.lanes import Span, Story, stacked
from vdc.testing.histories import START, history

HERE = Path(__file__).parent
DEVICES = ("rack0-tor0", "rack0-tor01", "rack0-cs0", "rack1-cs0", "spine0", "spine1")


@pytest.fixture(scope="module")
def story() -> Story:
    return tell(history(seconds=200, period=0.1), devices=DEVICES)


def event(time: float, kind: str, source: str = "harness", /, **data: object) -> Event:
    return Event(time=time, kind=kind, source=source, data=data)


def test_a_story_reads_as_expected(story: Story, golden: Golden) -> None:
    lines = [f"{story.start:.3f} to {story.end:.3f}, wall {story.wall}"]
    for lane in story.lanes:
        shape = "" if lane.line is None else f" line of {len(lane.line.values)} in {lane.line.unit}"
        lines.append(f"\n[{lane.group}] {lane.name}{shape} {lane.note}".rstrip())
        lines += [f"  {one.start:9.3f} {one.end:9.3f} {one.row} {one.tone:5} {one.label}" for one in lane.spans]
        lines += [f"  {one.time:9.3f}           ◆ {one.tone:5} {one.label}" for one in lane.marks]
    lines += ["", "outages:"]
    lines += [f"  {one.start:9.3f} {one.end:9.3f} {one.lane}: {one.cause}" for one in story.outages]
    lines += ["", "conditions:"]
    lines += [f"  {c.start:9.3f} {c.end:9.3f} {c.state} {' '.join(c.devices)}: {c.text}" for c in story.conditions]
    lines += ["", "what happened:"]
    lines += [f"  {h.time:9.3f} {h.kind:8} {h.tone:5} {h.source}: {h.text}" for h in story.happenings]
    golden(HERE / "expected" / "story.txt", "\n".join(lines) + "\n")


def test_an_empty_history_tells_nothing() -> None:
    story = tell([])
    assert (story.lanes, story.happenings, story.outages, story.wall) == ([], [], [], None)


def test_the_time_of_day_is_that_of_the_first_event() -> None:
    story = tell([event(12.0, "note", text="x"), event(15.0, "clock", wall=1000.0)])
    assert story.wall == pytest.approx(997.0)


def test_a_fault_is_told_by_its_phases_and_its_device_is_found_by_its_whole_name() -> None:
    name = "rack0-tor0 off"
    phases = ((1.0, "inject"), (1.25, "bites"), (5.0, "heal"), (6.0, "healed"))
    story = tell([event(time, "fault", name=name, phase=phase) for time, phase in phases], devices=DEVICES)
    (lane,) = story.lanes
    spans = [(span.start, span.end, span.tone, span.label) for span in lane.spans]
    assert spans == [
        (1.0, 1.25, "warn", "rack0-tor0 off: being injected"),
        (1.25, 5.0, "fault", "rack0-tor0 off"),
        (5.0, 6.0, "warn", "rack0-tor0 off: being healed"),
    ]
    (condition,) = story.conditions
    assert (condition.devices, condition.start, condition.end) == (("rack0-tor0",), 1.0, 6.0)


def test_what_never_ended_lasts_until_the_end_of_the_run() -> None:
    story = tell([
        event(1.0, "step", name="boot", phase="start"),
        event(2.0, "power", server="rack0-cs0", action="crash"),
        event(9.0, "note", text="end"),
    ])  # fmt: skip
    by_group = {lane.group: lane.spans[0] for lane in story.lanes}
    assert by_group["steps"].end == by_group["nodes"].end == 9.0
    assert by_group["nodes"].label == "rack0-cs0 off (crash)"


def test_a_server_that_is_reset_was_not_off() -> None:
    story = tell([event(2.0, "power", server="rack0-cs0", action="reset"), event(9.0, "note", text="end")])
    (lane,) = story.lanes
    assert lane.spans == []
    assert [mark.label for mark in lane.marks] == ["rack0-cs0: reset"]


def test_a_kind_of_event_that_nobody_knows_hurts_nobody() -> None:
    assert tell([event(1.0, "comet", "sky", tail=3), event(2.0, "note", text="x")]).end == 2.0


def test_every_outage_of_a_history_is_found_with_its_cause(story: Story) -> None:
    crash = [one for one in story.outages if one.end - one.start > 3]
    assert len(crash) == 6
    assert {one.cause for one in crash} == {"rack1-cs0 crashed"}
    assert all(START < one.start < story.end for one in crash)


def test_what_overlaps_stands_in_rows_and_never_in_more_than_there_are() -> None:
    spans = [Span(start=0, end=9, label=str(number), tone="step") for number in range(6)]
    assert [span.row for span in stacked(spans)] == [0, 1, 2, 3, 3, 3]
    assert (
        stacked([Span(start=1, end=2, label="b", tone="step"), Span(start=0, end=1, label="a", tone="step")])[1].row
        == 0
    )
