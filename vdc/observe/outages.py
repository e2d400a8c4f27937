"""How long users were without service, from samples. Pure.

An outage is measured as the wait of a user who has bad luck and patience: one who turned up at the worst
moment and tried again at every sample, over every member, until one attempt was acknowledged. So slow
answers, refused connections and silence all count alike, and a member that is down counts for nothing while
the others answer. It begins at the start of the last sample that went well, so it is never shorter than the
truth, and longer by at most one period of the samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import attrgetter

from vdc.observe.ops import Gap, Operation, Outcome


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
    return tuple(Outage(start=a, end=b, op=op) for a, b in stretches(operations, op, start=start, end=end))


def stretches(
    operations: Iterable[Operation], op: str, *, start: float | None = None, end: float | None = None
) -> Sequence[tuple[float, float]]:
    """Return what `waits` does, as pairs of start and end: there is one for almost every sample."""
    mine = sorted((o for o in operations if o.op == op and _within(o, start, end)), key=attrgetter("start"))
    if not mine:
        return ()
    first = mine[0].start if start is None else start
    last = max(o.end for o in mine) if end is None else end
    good = [o for o in mine if o.outcome is Outcome.OK]
    if not good:
        return ((first, last),)
    starts = [o.start for o in good]
    soonest = list(accumulate((o.end for o in reversed(good)), min))[::-1]
    found = {soonest[0]: first}  # of waits for the same answer, the longest
    later = 0
    for moment in starts:
        while later < len(starts) and starts[later] <= moment:
            later += 1
        if later < len(starts):
            found.setdefault(soonest[later], moment)
        elif end is not None or mine[-1].start > moment:
            found.setdefault(last, moment)
    return [(begin, finish) for finish, begin in found.items()]


def outages(
    operations: Iterable[Operation],
    *,
    longer_than: float = 0.5,
    start: float | None = None,
    end: float | None = None,
) -> tuple[Outage, ...]:
    """Return every outage of writes or of reads that lasted longer than `longer_than` seconds, in order.

    Of waits that overlap, which are one outage seen from different moments, the longest is returned. `start`
    and `end` are those of `waits`.
    """
    samples = tuple(operations)
    found: list[Outage] = []
    for op in ("write", "read"):
        pairs = stretches(samples, op, start=start, end=end)
        found += _disjoint(Outage(start=a, end=b, op=op) for a, b in pairs if b - a > longer_than)
    return tuple(sorted(found))


def starvation(
    operations: Iterable[Operation],
    gaps: Sequence[Gap],
    *,
    longest: float,
    start: float | None = None,
    end: float | None = None,
) -> tuple[Gap, ...]:
    """Return when nobody looked: the gaps the probe noted, and any stretch over `longest` without samples.

    With `start` and `end` also the stretch from there to the first sample, and from the last one to there.
    """
    starts = sorted(operation.start for operation in operations if _within(operation, start, end))
    moments = [*([] if start is None else [start]), *starts, *([] if end is None else [end])]
    holes = (Gap(end=b, seconds=b - a) for a, b in pairwise(moments) if b - a > longest)
    return (*gaps, *holes)


def _disjoint(found: Iterable[Outage]) -> list[Outage]:
    kept: list[Outage] = []
    for wait in sorted(found, key=lambda wait: -wait.seconds):
        # What is kept does not overlap, so only the two neighbours can.
        place = bisect_left(kept, wait.start, key=lambda other: other.start)
        free_before = place == 0 or kept[place - 1].end <= wait.start
        free_after = place == len(kept) or kept[place].start >= wait.end
        if free_before and free_after:
            kept.insert(place, wait)
    return kept


def _within(operation: Operation, start: float | None, end: float | None) -> bool:
    return (start is None or operation.start >= start) and (end is None or operation.start <= end)
