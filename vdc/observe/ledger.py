"""What became of numbered packets, or of requests: a ledger of each stream, and the outages that follow from it. Pure.

From the numbers alone follows what was lost, doubled or overtaken; a sender that stood still has sent no numbers, and
nothing is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from vdc.history import Event

PATIENCE: Final = 0.5
"""Seconds after which a packet that has not come is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOutage:
    """A stretch in which packets of a stream were lost, `lost` of them in a row, in monotonic seconds.

    It lasts from the sending of the last packet before them that came, to that of the first one after them that came:
    never shorter than the truth, and longer by less than two periods. `over` is the way that the stream had taken,
    `why` what the last attempt met, where somebody said so, `source` the probe that told of it.
    """

    start: float
    end: float
    lost: int
    over: tuple[str, ...] = ()
    why: str = ""
    source: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class PathOutage:
    """An outage of a stream of the flow of this name."""

    flow: str
    outage: FlowOutage

    @property
    def start(self) -> float:
        """When it began."""
        return self.outage.start

    @property
    def end(self) -> float:
        """When it ended."""
        return self.outage.end

    def __str__(self) -> str:
        way = f" over {', '.join(self.outage.over[1:])}" if len(self.outage.over) > 1 else ""
        why = f" ({self.outage.why})" if self.outage.why else ""
        return f"{self.flow}{way}: nothing came for {self.outage.seconds:.3f} s{why}"


def outage_of(event: Event) -> FlowOutage:
    """Return the outage that an event of the kind `outage` records."""
    data = event.data
    return FlowOutage(
        start=event.time - data["seconds"],
        end=event.time,
        lost=data["lost"],
        over=tuple(data.get("over", ())),
        why=data.get("why", ""),
        source=event.source,
    )


@dataclass(slots=True)
class Counts:
    """How many packets were sent, and became lost, came twice, or came after one that was sent later."""

    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0

    def add(self, other: Counts) -> None:
        """Add those of another stream or time."""
        self.sent += other.sent
        self.lost += other.lost
        self.duplicated += other.duplicated
        self.reordered += other.reordered

    def row(self) -> int | list[int]:
        """Return it as JSON: as many as were sent, and only where something was wrong, what."""
        wrong = [self.lost, self.duplicated, self.reordered]
        return [self.sent, *wrong] if any(wrong) else self.sent

    @classmethod
    def of(cls, row: int | list[int]) -> Counts:
        """Return what `row` gave."""
        return cls(row) if isinstance(row, int) else cls(*row)


@dataclass(slots=True)
class Ledger:
    """What became of the packets of one stream, which are numbered from 0. Times are monotonic seconds."""

    patience: float = PATIENCE
    over: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)
    """Since they were last taken."""
    _sent: deque[float] = field(default_factory=deque)  # of those whose fate is open, the first has number `_first`
    _came: deque[bool] = field(default_factory=deque)
    _first: int = 0
    _highest: int = -1
    _last_good: float | None = None
    _run: int = 0
    _whys: dict[int, str] = field(default_factory=dict)
    _why: str = ""

    def send(self, at: float) -> int:
        """Note that a packet is sent, and return its number."""
        self._sent.append(at)
        self._came.append(False)
        self.counts.sent += 1
        return self._first + len(self._sent) - 1

    def come(self, number: int) -> None:
        """Note that a packet came. One that comes when it was given up stays lost."""
        place = number - self._first
        if not 0 <= place < len(self._sent):
            return
        if self._came[place]:
            self.counts.duplicated += 1
            return
        self._came[place] = True
        if number < self._highest:
            self.counts.reordered += 1
        else:
            self._highest = number

    def fail(self, number: int, why: str) -> None:
        """Note why nothing came, or will."""
        if number >= self._first:
            self._whys[number] = why

    def settle(self, now: float) -> Iterator[FlowOutage]:
        """Give up those for which `patience` is over, and yield the outages that have ended by then."""
        due = now - self.patience
        while self._sent and self._sent[0] <= due:
            at, came = self._sent.popleft(), self._came.popleft()
            why = self._whys.pop(self._first, "")
            self._first += 1
            if not came:
                self._why = why or self._why
                self._run += 1
                self.counts.lost += 1
                self._last_good = at if self._last_good is None else self._last_good
                continue
            if self._run:
                yield self._outage(at)
            self._last_good = at

    def close(self, stopped: float) -> Iterator[FlowOutage]:
        """Settle all, when no more will come; an outage that goes on is known until then, when sending `stopped`."""
        yield from self.settle(stopped + self.patience)
        if self._run:
            yield self._outage(stopped)

    @property
    def waits(self) -> bool:
        """Whether something that was sent may still come."""
        return not all(self._came)

    def take(self) -> Counts:
        """Return the counts since the last call."""
        counts, self.counts = self.counts, Counts()
        return counts

    def _outage(self, end: float) -> FlowOutage:
        assert self._last_good is not None
        found = FlowOutage(start=self._last_good, end=end, lost=self._run, over=self.over, why=self._why)
        self._run, self._why = 0, ""
        return found
