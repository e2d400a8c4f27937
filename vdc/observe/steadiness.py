"""The judges of what must stay as it is, come back in time, or never be said. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise

from vdc.history import Event
from vdc.observe.verdict import Kind, Verdict, shown


def converged_within(events: Iterable[Event], *, since: float, budget: float, end: float) -> Verdict:
    """Judge whether all routing sessions are up no later than `budget` seconds after `since`, and stay so until `end`.

    By events of the kind `session`, also those before: a session that went down then must come up, too. The figures are
    `converged`, when the last one came up, in seconds after `since`, and `sessions`, their number.
    """
    up: dict[tuple[str, str, str], bool] = {}
    latest, late, looked = 0.0, set[tuple[str, str, str]](), 0
    for event in sorted((event for event in events if event.kind == "session"), key=lambda event: event.time):
        if event.time > end:
            break
        looked += 1
        session = (event.source, event.data["protocol"], event.data["peer"])
        up[session] = event.data["state"] == "up"
        if event.time >= since:
            latest = event.time - since
            if latest > budget:
                late.add(session)
    figures = {"converged": latest, "sessions": float(len(up))}
    down = sorted(session for session, is_up in up.items() if not is_up)
    if down:
        kind, message = Kind.INVALID, f"down in the end: {shown([' '.join(each) for each in down])}"
    elif late:
        changed = shown([" ".join(each) for each in sorted(late)])
        kind, message = Kind.INVALID, f"{latest:.2f} s, {budget:.2f} s allowed; changed after that: {changed}"
    elif not looked:
        kind, message = Kind.UNKNOWN, "nothing was said of any session"
    else:
        kind, message = Kind.VALID, f"{len(up)} sessions are up, the last after {latest:.2f} s; {budget:.2f} s allowed"
    return Verdict(kind=kind, checker="converged_within", message=message, figures=figures)


def no_duplicate(received: Iterable[Hashable]) -> Verdict:
    """Judge whether nothing came more than once: packets by number, deliveries by key."""
    counts = Counter(received)
    twice = [f"{item!r} came {count} times" for item, count in counts.items() if count > 1]
    figures = {"received": float(counts.total()), "duplicates": float(counts.total() - len(counts))}
    kind = Kind.INVALID if twice else Kind.VALID if counts else Kind.UNKNOWN
    message = shown(twice) if twice else f"{len(counts)} came once each" if counts else "nothing came"
    return Verdict(kind=kind, checker="no_duplicate", message=message, figures=figures)


def no_churn(snapshots: Sequence[Mapping[str, str]], *, most: int = 0) -> Verdict:
    """Judge whether between snapshots that follow each other no more than `most` things changed, came or went.

    A snapshot is what there is: name to state (`vdc.observe.idle.states`).
    """
    changes: list[str] = []
    for before, after in pairwise(snapshots):
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, "absent"), after.get(name, "absent")
            if old != new:
                changes.append(f"{name}: {old} → {new}")
    figures = {"changes": float(len(changes)), "snapshots": float(len(snapshots))}
    if len(changes) > most:
        kind, message = Kind.INVALID, f"{len(changes)} changes, {most} allowed: {shown(changes)}"
    elif len(snapshots) < 2 or not any(snapshots):
        kind, message = Kind.UNKNOWN, "fewer than two snapshots of anything"
    else:
        kind, message = Kind.VALID, f"{len(changes)} changes, {most} allowed"
    return Verdict(kind=kind, checker="no_churn", message=message, figures=figures)


def no_unexpected_restart(
    before: Mapping[str, str], after: Mapping[str, str], *, expected: Collection[str] = ()
) -> Verdict:
    """Judge whether exactly what is `expected` has another life than before: a boot ID, an invocation, a count.

    What came in between had no life before. What is gone has not come back, expected or not; of what is expected and
    was not watched nothing is known.
    """
    gone = sorted(before.keys() - after.keys())
    unwatched = sorted(set(expected) - before.keys())
    restarted = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    bad = [
        *(f"{name} restarted" for name in sorted(restarted - set(expected))),
        *(f"{name} is gone" for name in gone),
        *(f"{name} did not restart" for name in sorted(set(expected) & before.keys() & after.keys() - restarted)),
    ]
    figures = {"watched": float(len(before)), "restarted": float(len(restarted))}
    if bad:
        kind, message = Kind.INVALID, shown(bad)
    elif not before or unwatched:
        kind, message = Kind.UNKNOWN, f"{shown(unwatched) or 'nothing'} {'was not' if unwatched else 'was'} watched"
    else:
        kind, message = Kind.VALID, f"{len(restarted)} of {len(before)} restarted, as expected"
    return Verdict(kind=kind, checker="no_unexpected_restart", message=message, figures=figures)


def log_patterns(lines: Iterable[str], *, forbidden: Sequence[str] = (), required: Sequence[str] = ()) -> Verdict:
    """Judge whether no line matches a forbidden regular expression, and each required one matches some line."""
    never = [re.compile(each) for each in forbidden]
    missing = {each: re.compile(each) for each in required}
    bad: list[str] = []
    number = 0
    for number, line in enumerate(lines, 1):
        bad += [f"line {number} has {each.pattern!r}: {line.strip()}" for each in never if each.search(line)]
        for pattern in [each for each, compiled in missing.items() if compiled.search(line)]:
            del missing[pattern]
    bad += [f"no line has {each!r}" for each in missing]
    figures = {"lines": float(number), "complaints": float(len(bad))}
    kind = Kind.INVALID if bad else Kind.VALID if number else Kind.UNKNOWN
    message = shown(bad) if bad else f"{number} lines" if number else "no line"
    return Verdict(kind=kind, checker="log_patterns", message=message, figures=figures)
