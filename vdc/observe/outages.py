"""How long users were without service, from samples. Pure.

An outage is measured as the wait of a user who has bad luck and patience: one who turned up at the worst
moment and tried again at every sample, over every member, until one attempt was acknowledged. So slow
answers, refused connections and silence all count alike, and a member that is down counts for nothing while
the others answer. It begins at the start of the last sample that went well, so it is never shorter than the
truth, and longer by at most one period of the samples.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from vdc.history import Event
from vdc.observe.ops import Gap, Operation

_SLACK = 0.25  # seconds; an outage begins with the last good sample, a little before its cause


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Outage:
    """A stretch of time without service: no operation of the kind `op` ("write" or "read") that started
    after `start` was acknowledged before `end`.
    """

    start: float
    end: float
    op: str

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


def waits(
    operations: Iterable[Operation], op: str, *, start: float | None = None, end: float | None = None
) -> tuple[Outage, ...]:
    """Return the wait for the next acknowledgement from every moment at which it was longest, in order.

    Between `start` and `end`, which are by default where the samples begin and end. Waits overlap where
    answers are slower than the samples come.
    """
    mine = sorted((o for o in operations if o.op == op and _within(o, start, end)), key=lambda o: o.start)
    if not mine:
        return ()
    first = mine[0].start if start is None else start
    last = max(o.end for o in mine) if end is None else end
    good = [o for o in mine if o.ok]
    if not good:
        return (Outage(start=first, end=last, op=op),)
    starts = [o.start for o in good]
    soonest = list(accumulate((o.end for o in reversed(good)), min))[::-1]
    found = [Outage(start=first, end=soonest[0], op=op)]
    for moment in starts:
        later = bisect_right(starts, moment)
        if later < len(good):
            found.append(Outage(start=moment, end=soonest[later], op=op))
        elif end is not None or mine[-1].start > moment:
            found.append(Outage(start=moment, end=last, op=op))
    return _longest_per_end(found)


def outages(operations: Iterable[Operation], *, longer_than: float = 0.5) -> tuple[Outage, ...]:
    """Return every outage of writes or of reads that lasted longer than `longer_than` seconds, in order.

    Of waits that overlap, which are one outage seen from different moments, the longest is returned.
    """
    samples = tuple(operations)
    kept: list[Outage] = []
    for op in ("write", "read"):
        long = (wait for wait in waits(samples, op) if wait.seconds > longer_than)
        for wait in sorted(long, key=lambda wait: -wait.seconds):
            if not any(o.op == op and wait.start < o.end and o.start < wait.end for o in kept):
                kept.append(wait)
    return tuple(sorted(kept))


def starvation(operations: Iterable[Operation], gaps: Sequence[Gap], *, longest: float) -> tuple[Gap, ...]:
    """Return when nobody looked: the gaps the probe noted, and any stretch over `longest` without samples."""
    starts = sorted(operation.start for operation in operations)
    holes = (Gap(end=b, seconds=b - a) for a, b in pairwise(starts) if b - a > longest)
    return (*gaps, *holes)


def attribute(outage: Outage, events: Iterable[Event]) -> str:
    """Return the fault, power action or step that was in progress when `outage` began, the innermost of them.

    Faults and power actions come before steps, which also name the harness's own waiting.
    """
    disturbances = [
        d for d in _disturbances(events) if d.start <= outage.end and (d.end is None or d.end >= outage.start)
    ]
    begun = [d for d in disturbances if d.start <= outage.start + _SLACK]
    if begun:
        return max(begun, key=lambda d: (d.is_fault, d.start)).name
    if disturbances:
        return min(disturbances, key=lambda d: d.start).name
    return "nothing in progress"


@dataclass(slots=True, kw_only=True)
class _Disturbance:
    name: str
    start: float
    end: float | None
    is_fault: bool


_OPENS = {"step": ("start",), "fault": ("inject",)}
_CLOSES = {"step": ("done", "failed"), "fault": ("healed", "failed")}


def _disturbances(events: Iterable[Event]) -> list[_Disturbance]:
    found: list[_Disturbance] = []
    open_now: dict[tuple[str, str], _Disturbance] = {}
    for event in sorted(events, key=lambda e: e.time):
        if event.kind == "power":
            name, phase = f"{event.data['server']} {event.data['action']}", "inject"
        elif event.kind in _OPENS:
            name, phase = event.data["name"], event.data["phase"]
        else:
            continue
        key = (event.kind, event.data["server"] if event.kind == "power" else name)
        previous = open_now.get(key)
        opens = phase in _OPENS.get(event.kind, ("inject",))
        if previous is not None and (opens or phase in _CLOSES[event.kind]):
            previous.end = event.time
            del open_now[key]
        if opens:
            new = _Disturbance(name=name, start=event.time, end=None, is_fault=event.kind != "step")
            open_now[key] = new
            found.append(new)
    return found


def _within(operation: Operation, start: float | None, end: float | None) -> bool:
    return (start is None or operation.start >= start) and (end is None or operation.start <= end)


def _longest_per_end(waits: Iterable[Outage]) -> tuple[Outage, ...]:
    kept: dict[float, Outage] = {}
    for wait in waits:
        kept.setdefault(wait.end, wait)
    return tuple(kept.values())
