from __future__ import annotations

import pytest

from vdc.history import Event
from vdc.observe.attribution import _cause, _disturbances, longest_by_event
from vdc.observe.ops import Operation, Outcome
from vdc.observe.outages import Outage

OUTAGE = Outage(start=10.0, end=12.0, op="write")


def attribute(outage: Outage, events: list[Event]) -> str:
    return _cause(outage, _disturbances(events))


def event(time: float, kind: str, name: str, phase: str) -> Event:
    return Event(time=time, kind=kind, source="harness", data={"name": name, "phase": phase})


def power(time: float, server: str, action: str) -> Event:
    return Event(time=time, kind="power", source="harness", data={"server": server, "action": action})


def samples(*down: tuple[float, float]) -> list[Operation]:
    """A write and a read ten times a second for ten seconds."""
    return [
        Operation(
            op=op,
            key=str(tick),
            value="v",
            start=tick / 10,
            end=tick / 10 + 0.01,
            outcome=Outcome.FAILED if any(a <= tick / 10 < b for a, b in down) else Outcome.OK,
            member="m",
        )
        for tick in range(100)
        for op in ("write", "read")
    ]


def test_an_outage_belongs_to_the_fault_that_was_in_effect() -> None:
    events = [event(9.9, "fault", "tor off", "inject"), event(20, "fault", "tor off", "healed")]
    assert attribute(OUTAGE, events) == "tor off"


def test_a_fault_that_came_a_moment_after_the_last_good_sample_is_the_cause() -> None:
    assert attribute(OUTAGE, [event(10.1, "fault", "tor off", "inject")]) == "tor off"


def test_a_fault_that_had_healed_is_not_the_cause() -> None:
    events = [event(1, "fault", "tor off", "inject"), event(9, "fault", "tor off", "healed")]
    assert attribute(OUTAGE, events) == "nothing in progress"


def test_the_innermost_of_nested_steps_is_named() -> None:
    events = [event(1, "step", "upgrade", "start"), event(8, "step", "reimage rack0-cs0", "start")]
    assert attribute(OUTAGE, events) == "reimage rack0-cs0"


def test_a_fault_comes_before_the_steps_of_the_harness() -> None:
    events = [event(8, "fault", "spine off", "inject"), event(9, "step", "wait", "start")]
    assert attribute(OUTAGE, events) == "spine off"


def test_a_power_action_lasts_until_the_next_one_of_its_server() -> None:
    off, on = power(5, "rack0-cs0", "off"), power(9, "rack0-cs0", "on")
    assert attribute(OUTAGE, [off]) == "rack0-cs0 off"
    assert attribute(OUTAGE, [off, on]) == "rack0-cs0 on"


def test_what_a_fault_switches_is_named_after_the_fault() -> None:
    injected = [event(9, "fault", "rack 0 off", "inject"), power(9.5, "rack0-cs0", "off")]
    bitten = [*injected, event(9.9, "fault", "rack 0 off", "bites")]
    assert attribute(OUTAGE, injected) == attribute(OUTAGE, bitten) == "rack 0 off"


def test_what_comes_of_healing_is_told_apart_even_when_all_is_healed() -> None:
    fault = [event(1, "fault", "rack 0 off", "inject"), power(2, "rack0-cs0", "off")]
    fault += [event(3, "fault", "rack 0 off", "bites"), event(8, "fault", "rack 0 off", "heal")]
    healed = [power(8.5, "rack0-cs0", "on"), event(9, "fault", "rack 0 off", "healed")]
    assert attribute(OUTAGE, fault) == "rack 0 off: heal"
    assert attribute(OUTAGE, [*fault, *healed]) == "rack 0 off: heal"


def test_a_power_action_in_the_body_of_a_fault_is_its_own_event() -> None:
    fault = [event(1, "fault", "spine0 off", "inject"), event(2, "fault", "spine0 off", "bites")]
    assert attribute(OUTAGE, [*fault, power(9, "rack0-cs0", "reboot")]) == "rack0-cs0 reboot"


def test_every_event_has_its_own_longest_outage_in_the_order_they_began() -> None:
    events = [power(2.0, "rack0-cs0", "reboot"), power(6.0, "rack1-cs0", "reboot")]
    found = longest_by_event(samples((2.1, 3.0), (6.1, 8.0)), events)
    assert list(found) == ["rack0-cs0 reboot", "rack1-cs0 reboot"]
    assert found["rack0-cs0 reboot"] == {"write": pytest.approx(1.01), "read": pytest.approx(1.01)}
    assert found["rack1-cs0 reboot"] == {"write": pytest.approx(2.01), "read": pytest.approx(2.01)}


def test_an_event_that_nobody_noticed_is_listed_too() -> None:
    found = longest_by_event(samples(), [power(5.0, "rack0-cs0", "reboot")])
    assert found == {"rack0-cs0 reboot": {"write": pytest.approx(0.11), "read": pytest.approx(0.11)}}


def test_an_outage_without_a_cause_is_listed_where_it_is_noticeable() -> None:
    assert list(longest_by_event(samples((2.0, 4.0)), [])) == ["nothing in progress"]
    assert longest_by_event(samples((2.0, 2.1)), []) == {}


def test_an_outage_that_lasts_through_several_events_belongs_to_the_first() -> None:
    events = [power(2.0 + number / 10, f"rack{number}-cs0", "off") for number in range(3)]
    found = longest_by_event(samples((2.5, 9.0)), events)
    assert found["rack2-cs0 off"]["write"] == pytest.approx(6.61)
    assert sum(by_op["write"] > 1 for by_op in found.values()) == 1
