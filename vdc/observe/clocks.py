"""How the clocks of guests stand to this host's, so that what guests tell has its place on the one time line.

A guest is asked for its time through its agent (guest-get-time, QEMU Guest Agent Protocol Reference). Its answer was
true at some moment between question and answer: the middle is taken, and half of the time between is the uncertainty
(Cristian, "Probabilistic clock synchronization", 1989). Of several questions the one that was answered soonest counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import Machine
from vdc.history import Event

QUESTIONS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """At `time` (host monotonic seconds) a guest's clock was `seconds` ahead of this host's, ± `uncertainty`."""

    time: float
    seconds: float
    uncertainty: float

    def event(self, server: str) -> Event:
        """Return it as an event of the history."""
        data = {"seconds": round(self.seconds, 4), "uncertainty": round(self.uncertainty, 4)}
        return Event(time=self.time, kind="offset", source=server, data=data)


@dataclass(frozen=True, slots=True)
class Clock:
    """A guest's clock by what was measured of it: at least once, in order of time."""

    offsets: tuple[Offset, ...]

    def placed(self, wall: float, lead: float) -> tuple[float, float]:
        """Return the host's monotonic time at which the guest's clock showed `wall` (seconds since 1970), and how
        uncertain that is.

        `lead` is by how much the host's wall clock leads its monotonic clock. Between two measurements the offset is
        taken to change evenly; since it may as well have changed at once, all of the change is uncertain.
        """
        first = self.offsets[0]
        raw = wall - lead
        after = next((at for at, each in enumerate(self.offsets) if raw - each.seconds <= each.time), None)
        if after is None or len(self.offsets) == 1:
            last = self.offsets[-1]
            return raw - last.seconds, last.uncertainty
        if after == 0:
            return raw - first.seconds, first.uncertainty
        left, right = self.offsets[after - 1], self.offsets[after]
        share = (raw - left.seconds - left.time) / max(right.time - left.time, 1e-9)
        change = right.seconds - left.seconds
        offset = left.seconds + change * min(1.0, max(0.0, share))
        return raw - offset, max(left.uncertainty, right.uncertainty) + abs(change)


def measure(
    machine: Machine, *, now: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
) -> Offset:
    """Ask a guest for its time. Raises CommandError, WaitTimeout, InputError: it gives no answer."""
    return min((_asked(machine, now, wall) for _ in range(QUESTIONS)), key=lambda offset: offset.uncertainty)


def _asked(machine: Machine, now: Callable[[], float], wall: Callable[[], float]) -> Offset:
    before, lead = now(), wall() - now()
    shown = machine.clock()
    after = now()
    middle = (before + after) / 2
    return Offset(time=middle, seconds=shown - (middle + lead), uncertainty=(after - before) / 2)


def clock_of(offsets: Iterable[Offset]) -> Clock:
    """Return a clock by its measurements, at least one, in whatever order."""
    return Clock(tuple(sorted(offsets, key=lambda offset: offset.time)))
