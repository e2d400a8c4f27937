"""The judges of how much service users had: in all, and how soon after something. Pure.

They count as an outage every wait over `least` seconds, measured as `vdc.observe.outages` says; stretches in which the
probe itself was starved for longer than that make a good verdict unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from vdc.observe.ops import Gap, Operation, blind_seconds
from vdc.observe.outages import Outage, outages, starvation
from vdc.observe.verdict import Kind, Verdict

LEAST: Final = 0.5
"""Seconds. A shorter wait is no outage but a retransmission."""

_OPS: Final = ("write", "read")


def total_outage(
    operations: Iterable[Operation],
    *,
    budget: float,
    least: float = LEAST,
    gaps: Sequence[Gap] = (),
    start: float | None = None,
    end: float | None = None,
) -> Verdict:
    """Judge whether all outages of writes, and all of reads, came to no more than `budget` seconds together.

    The figures are `total`, `write_total` and `read_total`, in seconds, and `outages`, their number.
    """
    samples = tuple(operations)
    found = outages(samples, longer_than=least, start=start, end=end)
    by_op = {op: sum(outage.seconds for outage in found if outage.op == op) for op in _OPS}
    total = max(by_op.values())
    figures = {
        "total": total,
        **{f"{op}_total": seconds for op, seconds in by_op.items()},
        "outages": float(len(found)),
    }
    message = f"{total:.2f} s of outages, {budget:.2f} s allowed"
    if total > budget and total - _blind(found, gaps) > budget:
        return Verdict(kind=Kind.INVALID, checker="total_outage", message=message, figures=figures)
    doubt = _doubt(samples, gaps, least, start, end) or ("the probe was starved: " + message if total > budget else "")
    kind = Kind.UNKNOWN if doubt else Kind.VALID
    return Verdict(kind=kind, checker="total_outage", message=doubt or message, figures=figures)


def availability(
    operations: Iterable[Operation],
    *,
    least_share: float,
    least: float = LEAST,
    gaps: Sequence[Gap] = (),
    start: float | None = None,
    end: float | None = None,
) -> Verdict:
    """Judge whether there was service for at least `least_share` (0 to 1) of the time, of writes and of reads.

    The figures are `availability`, `write_availability` and `read_availability`.
    """
    samples = tuple(operations)
    if not samples:
        return Verdict(kind=Kind.UNKNOWN, checker="availability", message="no sample")
    begin = min(o.start for o in samples) if start is None else start
    finish = max(o.end for o in samples) if end is None else end
    length = finish - begin
    if length <= 0:
        return Verdict(kind=Kind.UNKNOWN, checker="availability", message="no time passed")
    window = {"start": start, "end": end}
    totals = total_outage(samples, budget=(1 - least_share) * length, least=least, gaps=gaps, **window)
    shares = {op: 1 - min(1.0, totals.figures[f"{op}_total"] / length) for op in _OPS}
    share = min(shares.values())
    figures = {"availability": share, **{f"{op}_availability": value for op, value in shares.items()}}
    message = f"{share:.3%} of {length:.1f} s, {least_share:.3%} demanded"
    if totals.kind is Kind.UNKNOWN:
        message = f"{totals.message} ({message})"
    return Verdict(kind=totals.kind, checker="availability", message=message, figures=figures)


def recovered_within(
    operations: Iterable[Operation],
    *,
    since: float,
    budget: float,
    end: float,
    least: float = LEAST,
    gaps: Sequence[Gap] = (),
) -> Verdict:
    """Judge whether there was service from `budget` seconds after the moment `since` on, until `end`.

    The figure `recovered` is when the last outage ended, in seconds after `since`. With a `budget` below `least`, a
    wait that is longer than the budget is an outage.
    """
    samples = tuple(operation for operation in operations if operation.end >= since)
    shortest = min(least, budget)
    found = outages(samples, longer_than=shortest, start=since, end=end)
    latest = max((outage.end - since for outage in found), default=0.0)
    figures = {"recovered": latest, "outages": float(len(found))}
    message = f"service again after {latest:.2f} s, {budget:.2f} s allowed"
    doubt = _doubt(samples, gaps, least, since, end)
    late = [outage for outage in found if outage.end - since > budget]
    # what the probe may have caused itself is doubtful; what it saw is not
    if any(outage.seconds - _blind([outage], gaps) > shortest for outage in late):
        return Verdict(kind=Kind.INVALID, checker="recovered_within", message=message, figures=figures)
    kind = Kind.UNKNOWN if doubt or late else Kind.VALID
    return Verdict(kind=kind, checker="recovered_within", message=doubt or message, figures=figures)


def _doubt(
    samples: Sequence[Operation], gaps: Sequence[Gap], least: float, start: float | None, end: float | None
) -> str:
    """Return why nothing good can be said: an op was never tried, or nobody looked for longer than `least`."""
    missing = [op for op in _OPS if not any(operation.op == op for operation in samples)]
    if missing:
        return f"no sample of a {' nor of a '.join(missing)}"
    for gap in starvation(samples, gaps, longest=least, start=start, end=end):
        if gap.seconds > least and (start is None or gap.end > start) and (end is None or gap.start < end):
            return f"the probe itself was starved for {gap.seconds:.2f} s"
    return ""


def _blind(found: Iterable[Outage], gaps: Sequence[Gap]) -> float:
    """Return for how much of these outages nobody looked, at most."""
    return sum(blind_seconds(outage, gaps) for outage in found)
