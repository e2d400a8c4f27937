"""What flows told becomes a lane for each two places: when packets went, which ways were lost, and why."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event
from vdc.report.html import tell
from vdc.report.html.paths import Dark, Paths, Watched, paths

A, B, OTHER = "rack0-tor0 → rack1-tor0 udp", "rack1-tor0 → rack0-tor0 udp", "external → rack0-tor0 udp"
LANE, OUTSIDE = "rack0 ↔ rack1 udp", "external → rack0 udp"


def event(time: float, kind: str, source: str = "flow-probe 00ff00ff00ff00", /, **data: object) -> Event:
    return Event(time=time, kind=kind, source=source, data=data)


def lost(end: float, flow: str, seconds: float, over: Iterable[str] = ()) -> Event:
    return event(end, "outage", flow=flow, seconds=seconds, lost=round(100 * seconds) - 1, over=list(over))


NAMES = [{"name": A, "lane": LANE}, {"name": B, "lane": LANE}, {"name": OTHER, "lane": OUTSIDE}]
HISTORY = [
    event(10.0, "flows", phase="start", flows=NAMES, period=0.01),
    event(11.0, "flows", rows=[100, 100, 100]),
    event(11.5, "fault", "harness", name="spine0 off", phase="inject"),
    event(12.0, "flows", rows=[[100, 29, 0, 0], [100, 9, 1, 2], 100]),
    lost(11.9, A, 0.3, ["rack0-tor0", "spine0"]),
    lost(11.75, B, 0.1),
    event(12.5, "fault", "harness", name="spine0 off", phase="healed"),
    event(13.0, "gap", seconds=0.2),
    event(13.5, "flows", rows=[150, [150, 2, 0, 0], 150]),
    lost(13.4, B, 0.03),
    lost(13.4, "of nobody", 0.03),
    event(13.5, "flows", phase="end", cpu=0.1, ran=3.5),
]


def test_two_places_share_a_lane_and_what_overlaps_is_one_outage() -> None:
    found = paths(HISTORY)
    assert list(found) == [LANE, OUTSIDE]
    (watched,) = found[LANE].watched
    assert (watched.start, watched.end) == (10.0, 13.5)
    assert str(watched) == "700 packets in 3.5 s: 40 lost, 1 doubled, 2 overtaken"
    assert str(found[OUTSIDE].watched[0]) == "350 packets in 3.5 s: all came once and in order"
    first, second = found[LANE].dark
    assert (first.start, first.end) == pytest.approx((11.6, 11.9))
    assert str(first) == f"{A} over spine0: nothing came for 0.300 s and 1 more: spine0 off"
    assert second.cause == "nothing in progress"
    assert [gap.seconds for gap in found[OUTSIDE].gaps] == [0.2]


def test_the_page_shows_them_among_probes_and_lists_each_outage_once() -> None:
    story = tell(HISTORY)
    lanes = {lane.name: lane for lane in story.lanes if lane.group == "probes"}
    assert set(lanes) == {LANE, OUTSIDE}
    assert [span.tone for span in lanes[LANE].spans] == ["good", "bad", "bad", "warn"]
    line = lanes[LANE].line
    assert line is not None
    assert (line.unit, max(value or 0 for value in line.values)) == ("ms", 300)
    assert [(one.lane, one.cause) for one in story.outages] == [(LANE, "spine0 off"), (LANE, "nothing in progress")]
    said = [one.text for one in story.happenings if one.kind == "outage"]
    assert len(said) == 4
    assert said[1] == "packets come again, after 0.300 s"


@given(st.floats(0, 99), st.floats(0.02, 30), st.integers(1, 500))
def test_an_outage_shows_in_the_profile_however_coarse_that_is(start: float, seconds: float, bins: int) -> None:
    seen = Paths(
        watched=[Watched(start=0, end=100, period=0.01, counts=paths(HISTORY)[LANE].watched[0].counts)],
        dark=[Dark(start=start, end=start + seconds, ways=("w",), cause="c")],
    )
    values = seen.profile(start=0.0, end=100.0, bins=bins)
    assert len(values) == bins
    assert max(value or 0 for value in values) == pytest.approx(seconds * 1000, abs=1)
    assert min(value or 0 for value in values) >= 10
    assert Paths().profile(start=0.0, end=1.0, bins=2) == [None, None]
