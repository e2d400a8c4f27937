"""Waiting, in a time that passes only while somebody sleeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc import wait
from vdc.wait import ticks


class Clock:
    """Stands in for the module `time`."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(up=st.floats(0.0, 1e8), tenths=st.integers(1, 50), count=st.integers(1, 20))
def test_the_last_tick_comes_when_the_time_is_up_however_long_the_host_has_been_up(
    up: float, tenths: int, count: int
) -> None:
    period = tenths / 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wait, "time", clock := Clock(up))
        seen = list(ticks(period, duration=tenths * count / 10))
    assert len(seen) == count + 1
    assert clock.now - up == pytest.approx(tenths * count / 10, abs=1e-6)
