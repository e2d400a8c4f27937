"""The judges: pure functions from what was observed to a verdict. A history can be judged again later.

A checker that saw too little says `unknown`, and unknown fails like invalid: silence is no proof of health.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from vdc.observe.ops import Gap, Operation, Outcome, blind_seconds
from vdc.observe.outages import Outage, starvation, stretches
from vdc.observe.verdict import Kind, Verdict, judge, shown

_BLIND = 30.0  # seconds without a sample that prove nothing, however long an outage may be


def no_write_lost(operations: Iterable[Operation], final: Mapping[str, Mapping[str, str]]) -> Verdict:
    """Judge whether every acknowledged write is there, unchanged, through every member and at every read.

    `final` is what each member held at the end: member to key to value. A write of unknown outcome may be
    there or not, but only with its own value; one that was never sent must not be there. A read that
    started after a write was acknowledged must have seen it (linearizability of keys written once).
    """
    samples = _distinct(operations)
    writes = {operation.key: operation for operation in samples if operation.op == "write"}
    acknowledged = {key: write for key, write in writes.items() if write.ok}
    reads = [operation for operation in samples if operation.op == "read" and operation.ok]
    figures = {
        "acknowledged": float(len(acknowledged)),
        "reads": float(len(reads)),
        "members": float(len(final)),
    }

    def verdict(kind: Kind, message: str) -> Verdict:
        return Verdict(kind=kind, checker="no_write_lost", message=message, figures=figures)

    if not acknowledged:
        return verdict(Kind.UNKNOWN, "no write was acknowledged")
    if not final:
        return verdict(Kind.UNKNOWN, "no member was read at the end")
    if len(writes) != sum(operation.op == "write" for operation in samples):
        return verdict(Kind.UNKNOWN, "a key was written twice: the history cannot tell which value is right")
    complaints = [*_final_complaints(writes, final), *_read_complaints(writes, reads)]
    if complaints:
        return verdict(Kind.INVALID, shown(complaints))
    strangers = sorted({key for held in final.values() for key in held} - writes.keys())
    if strangers:
        return verdict(Kind.UNKNOWN, f"the history is incomplete: nothing tells who wrote {shown(strangers)}")
    return verdict(Kind.VALID, f"{len(acknowledged)} acknowledged writes are there through {len(final)} members")


def longest_outage(
    operations: Iterable[Operation],
    *,
    budget: float,
    gaps: Sequence[Gap] = (),
    start: float | None = None,
    end: float | None = None,
) -> Verdict:
    """Judge whether users never waited more than `budget` seconds for a write or a read to be acknowledged.

    `vdc.observe.outages` says how an outage is measured. `start` and `end` are when the probe was to look, by
    default when it did; `gaps` are when it was starved. An outage that might be the probe's own is `unknown`,
    and so is a stretch that nobody looked at, whether before, between or after the samples. The figures are
    `outage`, `write_outage`, `read_outage` and, through each member alone, `outage[MEMBER]`.
    """
    samples = _distinct(operations)
    by_op = {op: stretches(samples, op, start=start, end=end) for op in ("write", "read")}
    missing = [op for op, found in by_op.items() if not found]
    if missing:
        return _outage_verdict(Kind.UNKNOWN, f"no sample of a {' nor of a '.join(missing)}", {})
    figures = {f"{op}_outage": _longest(found) for op, found in by_op.items()}
    figures = {"outage": max(figures.values()), **figures}
    by_member: dict[str, list[Operation]] = {}
    for operation in samples:
        by_member.setdefault(operation.member, []).append(operation)
    for member, mine in sorted(by_member.items()):
        figures[f"outage[{member}]"] = max(_longest(stretches(mine, op, start=start, end=end)) for op in by_op)
    for op in by_op:
        if not any(operation.ok for operation in samples if operation.op == op):
            return _outage_verdict(Kind.INVALID, f"no {op} was ever acknowledged", figures)
    allowed = min(budget, _BLIND)
    blind = _inside(starvation(samples, gaps, longest=allowed, start=start, end=end), start, end)
    too_long = [Outage(start=a, end=b, op=op) for op, found in by_op.items() for a, b in found if b - a > budget]
    worst = max(too_long, key=lambda outage: outage.seconds - blind_seconds(outage, blind), default=None)
    if worst is not None and worst.seconds - blind_seconds(worst, blind) > budget:
        message = f"no {worst.op} was acknowledged for {worst.seconds:.2f} s, {budget:.2f} s allowed"
        return _outage_verdict(Kind.INVALID, message, figures)
    starved = max((gap.seconds for gap in blind), default=0.0)
    if worst is not None or starved > allowed:
        message = f"inconclusive: the probe itself was starved for up to {starved:.2f} s, {allowed:.2f} s allowed"
        return _outage_verdict(Kind.UNKNOWN, message, figures)
    message = f"longest outage {figures['outage']:.2f} s, {budget:.2f} s allowed"
    return _outage_verdict(Kind.VALID, message, figures)


def _outage_verdict(kind: Kind, message: str, figures: Mapping[str, float]) -> Verdict:
    return Verdict(kind=kind, checker="longest_outage", message=message, figures=figures)


def _distinct(operations: Iterable[Operation]) -> list[Operation]:
    """Return the operations in order of their start, each once, however often its line was written."""
    distinct: list[Operation] = []
    moment: list[Operation] = []  # those that started when the latest one did
    for operation in sorted(operations, key=attrgetter("start")):
        if moment and moment[0].start != operation.start:
            moment = []
        if operation not in moment:
            moment.append(operation)
            distinct.append(operation)
    return distinct


def _final_complaints(writes: Mapping[str, Operation], final: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for member, held in final.items():
        for key, write in writes.items():
            seen = held.get(key)
            if write.ok and seen is None:
                yield f"{key}: acknowledged through {write.member}, lost through {member}"
            elif write.outcome is Outcome.FAILED and seen is not None:
                yield f"{key}: never sent, yet {seen!r} is there through {member}"
            elif seen is not None and seen != write.value:
                yield f"{key}: {write.value!r} was written, {seen!r} is there through {member}"


def _read_complaints(writes: Mapping[str, Operation], reads: Iterable[Operation]) -> Iterator[str]:
    for read in reads:
        write = writes.get(read.key)
        if write is None:
            if read.value is not None:
                yield f"{read.key}: {read.value!r} was read through {read.member}, which nobody wrote"
        elif read.value is None and write.ok and write.end <= read.start:
            yield f"{read.key}: acknowledged through {write.member}, then not there through {read.member}"
        elif read.value is not None and (read.value != write.value or write.outcome is Outcome.FAILED):
            yield f"{read.key}: {write.value!r} was written, {read.value!r} was read through {read.member}"


def _longest(found: Iterable[tuple[float, float]]) -> float:
    return max((end - start for start, end in found), default=0.0)


def _inside(gaps: Iterable[Gap], start: float | None, end: float | None) -> tuple[Gap, ...]:
    return tuple(gap for gap in gaps if (start is None or gap.end > start) and (end is None or gap.start < end))


__all__ = ["Kind", "Verdict", "judge", "longest_outage", "no_write_lost"]
