from __future__ import annotations

from dataclasses import replace

import pytest

from vdc.history import Event
from vdc.observe.ops import Operation, Outcome
from vdc.observe.outages import Outage, attribute, outages

OUTAGE = Outage(start=10.0, end=12.0, op="write")


def event(time: float, kind: str, name: str, phase: str) -> Event:
    return Event(time=time, kind=kind, source="harness", data={"name": name, "phase": phase})


def writes(*down: tuple[float, float]) -> list[Operation]:
    return [
        Operation(
            op="write",
            key=str(tick),
            value="v",
            start=tick / 10,
            end=tick / 10 + 0.01,
            outcome=Outcome.FAILED if any(a <= tick / 10 < b for a, b in down) else Outcome.OK,
            member="m",
        )
        for tick in range(100)
    ]


def test_each_outage_is_listed_once_and_in_order() -> None:
    found = outages(writes((2.0, 3.0), (6.0, 8.0)))
    assert [outage.start for outage in found] == pytest.approx([1.9, 5.9])
    assert [outage.seconds for outage in found] == pytest.approx([1.11, 2.11])


def test_an_outage_that_ends_with_answers_out_of_order_is_one_outage() -> None:
    late = [replace(o, end=3.0 + (3.0 - o.start) / 10) if 2 <= o.start < 3 else o for o in writes()]
    (found,) = outages(late)
    assert (found.start, found.end) == pytest.approx((1.9, 3.01))


def test_the_pause_between_samples_is_not_an_outage() -> None:
    assert outages(writes()) == ()


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
    def power(time: float, action: str) -> Event:
        return Event(time=time, kind="power", source="s", data={"server": "rack0-cs0", "action": action})

    assert attribute(OUTAGE, [power(5, "power_off")]) == "rack0-cs0 power_off"
    assert attribute(OUTAGE, [power(5, "power_off"), power(9, "power_on")]) == "rack0-cs0 power_on"
