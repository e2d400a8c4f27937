"""Faults of a server's clock, measured against that of the host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import CommandError, WaitTimeout
from vdc.faults.inside import Inside
from vdc.wait import NotYet

_LEAST_STEP: Final = 10
_SURE: Final = 2.0
"""Seconds that a clock may be wrong without a fault."""
_LEAST_PPM, _MOST_PPM = 50_000, 100_000
_APART: Final = 10
_TICK, _PPM_PER_TICK = 10_000, 100
"""Microseconds between ticks of the kernel's clock, and what one more or less is (adjtimex(2))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A guest's clock when the host's was `at`, give or take `unsure` seconds; both since the epoch."""

    at: float
    told: float
    unsure: float

    @property
    def ahead(self) -> float:
        """How many seconds it is ahead of the host's."""
        return self.told - self.at


def rate(first: Look, second: Look) -> tuple[float, float]:
    """Return how much faster a clock is than the host's (0.1: ten percent), and how unsure that is."""
    passed = second.at - first.at
    return (second.told - first.told) / passed - 1, (first.unsure + second.unsure) / passed


def look(dc: DataCenter, server: str) -> Look:
    """Return what a server's clock says. Raises NotYet: it does not tell."""
    before = time.time()
    try:
        told = dc.servers[server].clock()
    except (CommandError, WaitTimeout) as error:
        raise NotYet(f"{server} does not tell the time: {error}") from error
    after = time.time()
    return Look(at=(before + after) / 2, told=told, unsure=(after - before) / 2)


def put_right(dc: DataCenter, server: str) -> None:
    """Set a server's clock by the host's where it is wrong. Raises NotYet, CommandError."""
    seen = look(dc, server)
    if abs(seen.ahead) > _SURE / 2:
        dc.servers[server].run(["date", "--set", f"@{time.time() + seen.unsure:.3f}"])


def expect_ahead(dc: DataCenter, server: str, seconds: float) -> None:
    """Return if a server's clock is so much ahead; raises NotYet otherwise."""
    seen = look(dc, server)
    if abs(seen.ahead - seconds) > _SURE + seen.unsure:
        raise NotYet(f"the clock of {server} is {seen.ahead:+.1f} s ahead, expected {seconds:+.1f} s")


@dataclass(frozen=True, slots=True)
class _OfClock(Inside):
    """What both ask: the time, between two looks at the host's clock."""

    def asks(self, dc: DataCenter) -> str:
        """Return nothing: the clock is asked by itself, so that it is quick."""
        del dc
        return ":"

    def heal(self, dc: DataCenter) -> None:
        """End it, and set the clock by the host's where it is wrong even so."""
        Inside.heal(self, dc)
        put_right(dc, self.server)


@dataclass(frozen=True, slots=True)
class ClockStepped(_OfClock):
    """The clock of a server jumps by so many seconds, forward or (below 0) back."""

    seconds: int

    def __post_init__(self) -> None:
        if abs(self.seconds) < _LEAST_STEP:
            raise ValueError(f"a clock jumps by {_LEAST_STEP} s at least, else nobody could tell")

    @property
    def name(self) -> str:
        """`clock of SERVER +3600 s`."""
        return f"clock of {self.server} {self.seconds:+d} s"

    @property
    def kind(self) -> str:
        """One word."""
        return "step"

    def begins(self, dc: DataCenter) -> str:
        """Set it from what it is."""
        del dc
        return f"date --set '{_moved(self.seconds)}' >/dev/null"

    def ends(self) -> str:
        """Set it back."""
        return f"date --set '{_moved(-self.seconds)}' >/dev/null"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """It is so much ahead of the host's, or tells the same."""
        expect_ahead(dc, self.server, self.seconds if broken else 0.0)


@dataclass(frozen=True, slots=True)
class ClockSkewed(_OfClock):
    """The clock of a server is too fast, or (below 0) too slow, by so many parts in a million: it drifts away."""

    ppm: int = _MOST_PPM

    def __post_init__(self) -> None:
        if not _LEAST_PPM <= abs(self.ppm) <= _MOST_PPM or self.ppm % _PPM_PER_TICK:
            raise ValueError(f"a clock is {_LEAST_PPM} to {_MOST_PPM} ppm too fast or too slow, in steps of 100")

    @property
    def name(self) -> str:
        """`clock of SERVER +10 % fast`."""
        return f"clock of {self.server} {self.ppm / 10_000:+g} % fast"

    @property
    def kind(self) -> str:
        """One word."""
        return "skew"

    def begins(self, dc: DataCenter) -> str:
        """Change how much it is moved at each tick (adjtimex(2))."""
        del dc
        return f"busybox adjtimex -q -t {_TICK + self.ppm // _PPM_PER_TICK}"

    def ends(self) -> str:
        """Move it as much as is right."""
        return f"busybox adjtimex -q -t {_TICK}"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """In the same time it goes so much farther than the host's, or as far."""
        first = look(dc, self.server)
        dc.servers[self.server].run(["sleep", str(_APART)])
        fast, unsure = rate(first, look(dc, self.server))
        size, wanted = abs(self.ppm) / 1e6, self.ppm / 1e6 if broken else 0.0
        if unsure > size / 3:
            raise NotYet(f"the clock of {self.server} is {fast:+.1%} fast, give or take {unsure:.1%}: too unsure")
        if abs(fast - wanted) > unsure + size / 10:
            raise NotYet(f"the clock of {self.server} is {fast:+.1%} fast, expected {wanted:+.1%}")
        if not broken:
            expect_ahead(dc, self.server, 0.0)


def _moved(seconds: int) -> str:
    """Return a time for date(1), by so many seconds from now."""
    return f"{seconds} seconds" if seconds >= 0 else f"{-seconds} seconds ago"
