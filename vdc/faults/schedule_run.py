"""Runs a schedule: each fault breaks when it is due, and heals when its time is over.

All is done by one thread, in one order, so that the same schedule does the same: what becomes due while a fault is
being proven, to bite or to have healed, follows at once. What strikes the same as a fault that has not healed yet waits
for that.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random

from vdc.datacenter.api import DataCenter
from vdc.errors import HostError
from vdc.faults.base import Fault, injected
from vdc.faults.catalogue import Chosen, recorded
from vdc.faults.schedule import Planned, Schedule, collide, strikes
from vdc.wait import ticks

Told = Callable[[str], object]

_HEAL, _BREAK = 0, 1  # what is due at the same moment heals first


def play(
    dc: DataCenter, schedule: Schedule, chooser: Callable[[Random], Chosen], told: Told = lambda _: None
) -> tuple[Fault, ...]:
    """Break and heal all that a schedule says; when all is proven healed, return the faults that were in effect.

    `chooser` resolves who leads; `told` hears what happens.

    Raises: as `injected`; whatever it was, all that is in effect is healed first.
    """
    for planned in schedule:
        _expect_offered(dc, planned, chooser)
    run = _Run(dc, chooser, told)
    for place, planned in enumerate(schedule):
        heapq.heappush(run.due, (planned.at, _BREAK, place, planned))
    try:
        run.until_done()
    except BaseException as error:
        run.give_up(error)
        raise
    return tuple(run.played)


@dataclass(slots=True)
class _Run:
    dc: DataCenter
    chooser: Callable[[Random], Chosen]
    told: Told
    began: float = field(default_factory=time.monotonic)
    due: list[tuple[float, int, int, Planned]] = field(default_factory=list)
    open: dict[int, tuple[Fault, AbstractContextManager[None]]] = field(default_factory=dict)
    played: list[Fault] = field(default_factory=list)

    def until_done(self) -> None:
        while self.due:
            when, what, place, planned = heapq.heappop(self.due)
            self._wait(when)
            if what == _HEAL:
                self._heal(place)
            elif (blocked := self._blocked(planned)) is None:
                self._break(place, planned)
            else:
                heapq.heappush(self.due, (max(when, blocked), what, place, planned))

    def give_up(self, error: BaseException) -> None:
        """Heal what is in effect, the latest first; what does not heal is noted with the error."""
        for place in reversed(list(self.open)):
            try:
                self.open.pop(place)[1].__exit__(type(error), error, error.__traceback__)
            except BaseException as second:  # noqa: BLE001 - the first error is the one to report
                if second is not error:
                    error.add_note(str(second))

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _wait(self, when: float) -> None:
        left = when - self._now()
        if left > 0 and self.dc.slowness:  # in simulated time nothing takes any
            for _ in ticks(left, duration=left):
                pass

    def _blocked(self, planned: Planned) -> float | None:
        """Return when to look again, if something that strikes the same is in effect."""
        fault = planned.fault(self.dc, self.chooser)
        mine = self._struck(fault)
        places = [place for place, (other, _) in self.open.items() if collide(mine, self._struck(other))]
        heals = [when for when, what, place, _ in self.due if what == _HEAL and place in places]
        return max(heals) if heals else None

    def _struck(self, fault: Fault) -> frozenset[tuple[str, str]]:
        return strikes(_fields(recorded(fault) or {}), self.dc.topology)

    def _break(self, place: int, planned: Planned) -> None:
        fault = planned.fault(self.dc, self.chooser)
        holding = injected(self.dc, fault, lasting=planned.seconds)
        holding.__enter__()
        self.open[place] = (fault, holding)
        self.played.append(fault)
        now = self._now()
        self.told(f"{now:6.1f} s  bites, for {planned.seconds:g} s: {fault.name}")
        heapq.heappush(self.due, (now + planned.seconds, _HEAL, place, planned))

    def _heal(self, place: int) -> None:
        fault, holding = self.open.pop(place)
        holding.__exit__(None, None, None)
        self.told(f"{self._now():6.1f} s  healed: {fault.name}")


def _fields(record: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in record.items() if name != "kind"}


def _expect_offered(dc: DataCenter, planned: Planned, chooser: Callable[[Random], Chosen]) -> None:
    """Pass if the data centre offers what a fault needs. Raises HostError; nothing was touched."""
    fault = planned.fault(dc, chooser)
    if (lacks := fault.missing(dc)) is not None:
        raise HostError(f"{fault.name}: {lacks}")
