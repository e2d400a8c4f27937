from __future__ import annotations

from dataclasses import replace

import pytest

from vdc.observe.ops import Operation, Outcome
from vdc.observe.outages import outages, starvation


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


def test_silence_to_the_end_of_the_window_is_an_outage() -> None:
    (found,) = outages(writes(), end=15.0)
    assert (found.start, found.end) == pytest.approx((9.9, 15.0))


def test_nobody_looked_before_the_first_and_after_the_last_sample() -> None:
    holes = starvation(writes(), (), longest=2.0, start=-3.0, end=15.0)
    assert [(hole.start, hole.end) for hole in holes] == [pytest.approx((-3.0, 0.0)), pytest.approx((9.9, 15.0))]
    assert starvation(writes(), (), longest=2.0) == ()
