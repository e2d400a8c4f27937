"""What a guest's clock shows has its place on this host's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.datacenter.api import Machine
from vdc.errors import CommandError
from vdc.observe.clocks import Clock, Offset, clock_of, measure

LEAD = 1000.0
"""Seconds by which the wall clock of the host leads its monotonic clock."""


class Guest:
    """Answers after a while that differs, by a clock that is ahead; it looked at it at some share of that while."""

    def __init__(self, ahead: float, delays: Iterator[float], share: float = 0.5) -> None:
        self.now = 50.0
        self._ahead, self._delays, self._share = ahead, delays, share

    def clock(self) -> float:
        delay = next(self._delays)
        shown = self.now + LEAD + self._ahead + delay * self._share
        self.now += delay
        return shown

    def measure(self) -> Offset:
        return measure(cast(Machine, self), now=lambda: self.now, wall=lambda: self.now + LEAD)


@given(ahead=st.floats(-1e4, 1e4), delay=st.floats(1e-4, 5), share=st.floats(0, 1))
def test_the_truth_is_within_the_uncertainty(ahead: float, delay: float, share: float) -> None:
    offset = Guest(ahead, iter([delay] * 3), share).measure()
    assert abs(offset.seconds - ahead) <= offset.uncertainty + 1e-6
    assert offset.uncertainty == pytest.approx(delay / 2)


def test_the_soonest_answer_counts() -> None:
    offset = Guest(2.0, iter([3.0, 0.2, 1.0]), 0.0).measure()
    assert offset.uncertainty == pytest.approx(0.1)
    assert offset.seconds == pytest.approx(1.9)


def test_a_guest_that_does_not_answer_has_no_offset() -> None:
    class Silent(Guest):
        def clock(self) -> float:
            raise CommandError("g", ["guest agent"], 1, "no answer")

    with pytest.raises(CommandError):
        Silent(0.0, iter(count())).measure()


def test_it_is_written_as_an_event() -> None:
    event = Offset(time=7.0, seconds=0.12345, uncertainty=0.002).event("cs0")
    assert (event.time, event.kind, event.source) == (7.0, "offset", "cs0")
    assert event.data == {"seconds": 0.1235, "uncertainty": 0.002} or event.data["seconds"] == 0.1234


@given(ahead=st.floats(-100, 100), moment=st.floats(0, 1000))
def test_a_clock_that_keeps_its_offset_is_placed_exactly(ahead: float, moment: float) -> None:
    offsets = [Offset(time=time, seconds=ahead, uncertainty=0.01) for time in (300.0, 100.0, 600.0)]
    placed, uncertainty = clock_of(offsets).placed(moment + LEAD + ahead, LEAD)
    assert placed == pytest.approx(moment, abs=1e-6)
    assert uncertainty == pytest.approx(0.01)


@given(share=st.floats(0.01, 0.99), step=st.floats(-50, 50), moment=st.floats(101, 199))
def test_of_a_clock_that_was_stepped_the_truth_is_within_the_uncertainty(
    share: float, step: float, moment: float
) -> None:
    stepped = 100 + 100 * share
    clock = Clock(
        (
            Offset(time=100.0, seconds=0.0, uncertainty=0.01),
            Offset(time=200.0, seconds=step, uncertainty=0.01),
        )
    )
    shown = moment + (step if moment >= stepped else 0.0)
    placed, uncertainty = clock.placed(shown + LEAD, LEAD)
    assert abs(placed - moment) <= uncertainty + abs(step) + 1e-6


def test_before_and_after_all_measurements_the_nearest_counts() -> None:
    clock = Clock((Offset(time=100.0, seconds=1.0, uncertainty=0.1), Offset(time=200.0, seconds=2.0, uncertainty=0.2)))
    assert clock.placed(51.0 + LEAD, LEAD) == (50.0, 0.1)
    assert clock.placed(302.0 + LEAD, LEAD) == (300.0, 0.2)
    placed, uncertainty = clock.placed(151.5 + LEAD, LEAD)
    assert placed == pytest.approx(150.0, abs=0.1)
    assert uncertainty == pytest.approx(1.2)
