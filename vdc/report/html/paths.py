"""From counts and outages of numbered packets to when two places were joined, over all ways between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from vdc.history import Event
from vdc.observe.attribution import caused
from vdc.observe.ledger import Counts, PathOutage, outage_of
from vdc.observe.ops import Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A stretch in which packets went between two places, as many as `counts` says, one every `period` seconds."""

    start: float
    end: float
    period: float
    counts: Counts

    def __str__(self) -> str:
        seen = self.counts
        wrong = (("lost", seen.lost), ("doubled", seen.duplicated), ("overtaken", seen.reordered))
        found = ", ".join(f"{number:,} {word}" for word, number in wrong if number) or "all came once and in order"
        return f"{seen.sent:,} packets in {self.end - self.start:.1f} s: {found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dark:
    """A stretch in which some way was lost: the ways, as text, and what caused it."""

    start: float
    end: float
    ways: tuple[str, ...]
    cause: str

    def __str__(self) -> str:
        more = f" and {len(self.ways) - 1} more" if len(self.ways) > 1 else ""
        return f"{self.ways[0]}{more}: {self.cause}"


@dataclass(slots=True, kw_only=True)
class Paths:
    """What was seen between two places."""

    watched: list[Watched] = field(default_factory=list)
    dark: list[Dark] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def profile(self, *, start: float, end: float, bins: int) -> list[int | None]:
        """Return for each of `bins` equal parts of the time how long the longest wait in it was, in milliseconds,
        rounded up; None where nobody looked.
        """
        width = (end - start) / bins or 1.0
        values: list[int | None] = [None] * bins
        waits = [(one.start, one.end, one.period) for one in self.watched]
        waits += [(one.start, one.end, one.end - one.start) for one in self.dark]
        for begin, finish, seconds in waits:
            for at in range(max(0, int((begin - start) / width)), min(bins, ceil((finish - start) / width))):
                values[at] = max(values[at] or 0, ceil(seconds * 1000 - 1e-6))
        return values


def paths(events: Sequence[Event]) -> Mapping[str, Paths]:
    """Return what a history tells of flows, by the names of the lanes that they are told under."""
    found: dict[str, Paths] = {}
    lane_of: dict[tuple[str, str], str] = {}
    outages: dict[str, list[PathOutage]] = {}
    for run in _runs(events):
        for name, counts in run.lanes().items():
            found.setdefault(name, Paths()).watched.append(
                Watched(start=run.start, end=run.end, period=run.period, counts=counts)
            )
            found[name].gaps += run.gaps
        lane_of |= {(run.source, flow): lane for flow, lane in run.flows}
    for event in (each for each in events if each.kind == "outage"):
        lane = lane_of.get((event.source, event.data["flow"]))
        if lane is not None:
            outages.setdefault(lane, []).append(PathOutage(event.data["flow"], outage_of(event)))
    for lane, mine in outages.items():
        found[lane].dark += _dark(mine, events)
    return found


@dataclass(slots=True, kw_only=True)
class _Run:
    """A process that sent: its flows with their lanes, and what became of each."""

    source: str
    start: float
    end: float
    period: float
    flows: tuple[tuple[str, str], ...]
    counts: tuple[Counts, ...]
    gaps: list[Gap] = field(default_factory=list)

    def lanes(self) -> Mapping[str, Counts]:
        found: dict[str, Counts] = {}
        for (_, lane), counts in zip(self.flows, self.counts, strict=True):
            found.setdefault(lane, Counts()).add(counts)
        return found


def _runs(events: Iterable[Event]) -> Iterable[_Run]:
    found: dict[str, _Run] = {}
    for event in events:
        if event.kind == "flows" and event.data.get("phase") == "start":
            flows = tuple((flow["name"], flow["lane"]) for flow in event.data["flows"])
            found[event.source] = _Run(
                source=event.source,
                start=event.time,
                end=event.time,
                period=event.data["period"],
                flows=flows,
                counts=tuple(Counts() for _ in flows),
            )
        elif event.source in found:
            _tell(found[event.source], event)
    return found.values()


def _tell(run: _Run, event: Event) -> None:
    if event.kind == "gap":
        run.gaps.append(Gap.from_event(event))
    elif "rows" in event.data:
        run.end = max(run.end, event.time)
        for counts, row in zip(run.counts, event.data["rows"], strict=True):
            counts.add(Counts.of(row))


def _dark(outages: Iterable[PathOutage], events: Sequence[Event]) -> Iterator[Dark]:
    """Yield outages of several ways at the same time as one, the longest first in its text."""
    disturbances = [event for event in events if event.kind in {"step", "fault", "power"}]
    pending: list[PathOutage] = []
    for outage in sorted(outages, key=lambda one: one.start):
        if pending and outage.start > max(one.end for one in pending):
            yield _together(pending, disturbances)
            pending = []
        pending.append(outage)
    if pending:
        yield _together(pending, disturbances)


def _together(outages: Sequence[PathOutage], disturbances: Sequence[Event]) -> Dark:
    longest = sorted(outages, key=lambda one: one.start - one.end)
    ((_, cause),) = caused(longest[:1], disturbances)
    return Dark(
        start=min(one.start for one in outages),
        end=max(one.end for one in outages),
        ways=tuple(map(str, longest)),
        cause=cause,
    )
