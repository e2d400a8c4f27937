from __future__ import annotations

import json
import random
from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event
from vdc.observe.timeline import timeline

from .samples import probed, unhurried


def event(time: float, kind: str, source: str = "harness", **data: object) -> Event:
    return Event(time=time, kind=kind, source=source, data=data)


HISTORY = [
    event(0, "clock", wall=1000.0),
    event(1, "step", name="deploy", phase="start"),
    event(2, "step", name="deploy", phase="done"),
    event(3, "scenario", test="t", phase="start", attempt=1),
    event(4, "fault", name="spine0 off", phase="inject"),
    event(4.25, "fault", name="spine0 off", phase="bites"),
    event(4.5, "session", "tor0", protocol="bgp", peer="spine0", state="down", text="start"),
    event(4.6, "session", "tor0", protocol="bgp", peer="spine0", state="down", text="down"),
    event(5, "console", "rack0-cs0", line="Oops: 0002", rule="oops"),
    event(6, "fault", name="spine0 off", phase="heal"),
    event(6.5, "session", "tor0", protocol="bgp", peer="spine0", state="up", text="up"),
    event(7, "fault", name="spine0 off", phase="healed"),
    event(8, "power", server="rack0-cs0", action="off"),
    event(9, "gap", "probe", seconds=0.5),
    event(10, "scenario", test="t", phase="done", attempt=1, outcome="failed", why="this"),
    event(11, "load", "host", seconds=1.0, late=0.1),
    event(12, "step", name="down", phase="start"),
]


def test_what_begins_and_ends_is_a_stretch_and_the_rest_an_instant() -> None:
    line = timeline(reversed(HISTORY))
    assert (line.wall, line.start, line.end) == (1000.0, 0, 12)
    assert list(map(astuple, line.entries)) == [
        (1, 2, "step", "harness", "deploy", "ok", ""),
        (3, 10, "scenario", "harness", "t", "bad", "failed: this"),
        (4, 7, "fault", "harness", "spine0 off", "ok", "inject +0.000 s bites +0.250 s heal +2.000 s healed +3.000 s"),
        (4.5, 6.5, "session", "tor0", "bgp spine0", "bad", "start → down"),
        (5, 5, "console", "rack0-cs0", "oops", "bad", "Oops: 0002"),
        (8, 8, "power", "rack0-cs0", "off", "", ""),
        (8.5, 9, "gap", "probe", "starved", "bad", ""),
        (12, 12, "step", "harness", "down", "", ""),
    ]
    assert line.load == ((11, {"seconds": 1.0, "late": 0.1}),)


def test_the_turn_of_a_node_is_a_step_that_may_be_held_up() -> None:
    def turn(at: float, phase: str, reason: str = "") -> Event:
        return Event(time=at, kind="rolling", source="queue", data={"name": "a", "phase": phase, "reason": reason})

    events = [turn(1, "start"), turn(2, "held", "a budget"), turn(5, "start"), turn(9, "back")]
    found = [(each.start, each.end, each.name, each.state, each.text) for each in timeline(events).entries]
    assert found == [(1, 2, "turn of a", "", "held a budget"), (5, 9, "turn of a", "ok", "back")]


def test_what_is_told_inside_has_its_place_and_how_certain_that_is() -> None:
    line = timeline(
        [
            event(1, "machine", "cs0", name="stopped", text="crashed", bad=True),
            event(2, "journal", "cs0", who="systemd", priority=3, text="Failed", uncertainty=0.01),
            event(3, "journal", "cs0", who="etcd", priority=4, text="slow", uncertainty=0.25),
            event(4, "cluster", "kubelet", name="BackOff", text="Pod/web: restarting", uncertainty=1.0, bad=True),
            event(5, "cluster", "cs0", name="leader", text="elected leader 7 at term 3", uncertainty=0.0),
            event(6, "offset", "cs0", seconds=0.0021, uncertainty=0.0009),
            event(7, "offset", "cs1", seconds=-3.0, uncertainty=0.01),
        ]
    )
    assert [(entry.lane, entry.source, entry.name, entry.state, entry.text) for entry in line.entries] == [
        ("machine", "cs0", "stopped", "bad", "crashed"),
        ("journal", "cs0", "systemd", "bad", "Failed"),
        ("journal", "cs0", "etcd", "", "slow (± 0.25 s)"),
        ("cluster", "kubelet", "BackOff", "bad", "Pod/web: restarting (± 1 s)"),
        ("cluster", "cs0", "leader", "", "elected leader 7 at term 3"),
        ("clock", "cs0", "clock", "", "+2 ± 1 ms to the host's"),
        ("clock", "cs1", "clock", "bad", "-3000 ± 10 ms to the host's"),
    ]


def test_an_outage_is_named_after_its_cause() -> None:
    faults = [
        event(5, "fault", name="spine0 off", phase="inject"),
        event(9, "fault", name="spine0 off", phase="healed"),
    ]
    line = timeline([*(each.to_event("probe") for each in probed([(5.1, 8)])), *faults])
    outages = [entry for entry in line.entries if entry.lane == "outage"]
    assert [(entry.source, entry.name) for entry in outages] == [
        ("probe read", "spine0 off"),
        ("probe write", "spine0 off"),
    ]
    assert outages[0].text == "no read for 3.01 s"


def test_what_was_around_a_moment_is_found() -> None:
    line = timeline(HISTORY)
    assert [entry.lane for entry in line.around(8.0, 0.4)] == ["scenario", "power"]
    assert [entry.lane for entry in line.around(1.5, 0.1)] == ["step"]


def test_it_is_plain_data_for_the_report() -> None:
    plain = timeline(HISTORY).to_json()
    assert json.loads(json.dumps(plain)) == plain | {"load": [[11, {"seconds": 1.0, "late": 0.1}]]}
    assert plain["entries"][0] == {
        "start": 1,
        "end": 2,
        "lane": "step",
        "source": "harness",
        "name": "deploy",
        "state": "ok",
        "text": "",
    }


def test_no_history_is_an_empty_line() -> None:
    assert timeline([]).entries == ()


@unhurried
@given(st.lists(st.sampled_from(HISTORY), max_size=40), st.integers(0, 2**32))
def test_of_any_part_of_a_history_all_entries_lie_within_it_in_order(part: list[Event], seed: int) -> None:
    random.Random(seed).shuffle(part)
    line = timeline(part)
    for entry in line.entries:
        assert min(line.start, entry.start) <= entry.start <= entry.end <= line.end
    assert [entry.start for entry in line.entries] == sorted(entry.start for entry in line.entries)


def test_an_outage_of_a_flow_is_on_the_time_line_with_its_cause_and_a_short_one_is_not() -> None:
    fault = [event(4, "fault", name="spine0 off", phase=phase) for phase in ("inject", "bites")]
    flow = {"flow": "a → b udp", "lost": 3, "over": ["a", "spine0"]}
    seen = [event(5, "outage", "flow-probe x", seconds=seconds, **flow) for seconds in (0.9, 0.05)]
    (entry,) = [entry for entry in timeline([*fault, *seen]).entries if entry.lane == "outage"]
    assert (entry.source, entry.name, entry.state) == ("a → b udp", "spine0 off", "bad")
    assert entry.text == "a → b udp over spine0: nothing came for 0.900 s"
