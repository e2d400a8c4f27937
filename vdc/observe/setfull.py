"""Whether a set to which elements are only ever added keeps them all, as reads of the whole set show. Pure.

The rules are those of Jepsen's checker "set-full": they need no search, so they suit histories of any size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vdc.observe.ops import Operation, Outcome
from vdc.observe.verdict import Kind, Verdict, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRead:
    """All elements that a read through `member` returned, which lasted from `start` to `end`."""

    start: float
    end: float
    elements: frozenset[str]
    member: str


def set_full(adds: Iterable[Operation], reads: Iterable[SetRead], *, stale_for: float = 0.0) -> Verdict:
    """Judge whether each element, once it is known, is in every read that starts later.

    An element is known when its add was acknowledged, or when the first read that has it has ended. It is lost if no
    read has it from some moment on, and stale if a read lacked it for over `stale_for` seconds after it was known, and
    later ones have it. The figure `visible` is how long it took at most, in seconds.
    """
    ordered = sorted(reads, key=lambda read: read.start)
    added = {str(add.value): add for add in adds}
    known = {value: add.end for value, add in added.items() if add.ok}
    bad = [f"{_name(value)}: never sent, yet it was read" for value in _never_sent(added, ordered)]
    seen: set[str] = set()
    for read in sorted(ordered, key=lambda read: read.end):
        for element in read.elements - seen:
            known[element] = min(known.get(element, read.end), read.end)
        seen |= read.elements
    absent, present = _last_seen(known, ordered)
    lost = {element for element in absent if absent[element] > present.get(element, -1.0)}
    stale = {element: absent[element] - known[element] for element in absent if element not in lost}
    bad += [
        f"{_name(element)}: known since {known[element]:.3f}, lost by {absent[element]:.3f}" for element in sorted(lost)
    ]
    bad += [
        f"{_name(element)}: not read {seconds:.3f} s after it was known"
        for element, seconds in stale.items()
        if seconds > stale_for
    ]
    unread = sum(element not in present and element not in absent for element in known)
    figures = {
        "elements": float(len(known)),
        "reads": float(len(ordered)),
        "lost": float(len(lost)),
        "stale": float(len(stale)),
        "unread": float(unread),
        "visible": max(stale.values(), default=0.0),
    }
    kind, message = Kind.VALID, f"{len(known)} elements are in all {len(ordered)} reads after them"
    if bad:
        kind, message = Kind.INVALID, shown(bad)
    elif not ordered or not known or unread:
        kind, message = (
            Kind.UNKNOWN,
            f"{unread} of {len(known)} elements were known after the last of {len(ordered)} reads",
        )
    return Verdict(kind=kind, checker="set_full", message=message, figures=figures)


def _never_sent(added: dict[str, Operation], reads: Iterable[SetRead]) -> list[str]:
    sent = {value for value, add in added.items() if add.outcome is not Outcome.FAILED}
    return sorted(set().union(*(read.elements for read in reads)) - sent)


def _last_seen(known: dict[str, float], reads: Iterable[SetRead]) -> tuple[dict[str, float], dict[str, float]]:
    """Return when the last read started that lacked an element which was known, and that had it."""
    absent: dict[str, float] = {}
    present: dict[str, float] = {}
    leaving = sorted(known, key=lambda element: known[element])
    due = set(leaving)
    for read in sorted(reads, key=lambda read: -read.start):  # the last read comes first, so the first word counts
        while leaving and known[leaving[-1]] > read.start:
            due.remove(leaving.pop())
        absent |= dict.fromkeys(due - read.elements - absent.keys(), read.start)
        present |= dict.fromkeys(read.elements - present.keys(), read.start)
    return absent, present


def _name(element: str) -> str:
    return element if len(element) <= 40 else f"{element[:39]}…"
