"""Reduces a failing schedule to a smallest one that still fails. Pure: whether it fails is asked of somebody else.

Entries are left out by delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
IEEE TSE 28(2), 2002: the algorithm ddmin); then what is left becomes shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, TypeVar

from vdc.faults.schedule import Planned, Schedule

T = TypeVar("T")

SHORTEST: Final = 1.0
"""Seconds. A fault that lasts longer is tried with half the time, down to this."""


def smallest(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Return a smallest part of a failing schedule that fails, too, its faults as short and as early as they may be.

    None of its entries can be left out, and none lasts half as long: each such schedule was asked for and did not
    fail. Where `fails` once said so it is not asked again.
    """
    ask = remembering(fails)
    while True:
        fewer = minimal(schedule, ask)
        shorter = _tightened(fewer, ask)
        if shorter == schedule:
            return schedule
        schedule = shorter


def minimal(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Return items, in their order, that fail, and no longer do so without any one of them (1-minimal)."""
    left, parts = tuple(items), 2
    while len(left) > 1:
        pieces = _pieces(left, min(parts, len(left)))
        smaller = next((each for each in _candidates(pieces) if fails(each)), None)
        if smaller is not None:
            # a piece is cut in two anew; what is left without one keeps the size of its pieces
            parts = 2 if smaller in pieces else max(2, len(pieces) - 1)
            left = smaller
        elif len(pieces) == len(left):
            return left
        else:
            parts = 2 * len(pieces)
    return left


def remembering(fails: Callable[[tuple[T, ...]], bool]) -> Callable[[tuple[T, ...]], bool]:
    """Return the same question, which is asked only once of the same items."""
    known: dict[Hashable, bool] = {}

    def ask(items: tuple[T, ...]) -> bool:
        key = repr(items)
        if key not in known:
            known[key] = fails(items)
        return known[key]

    return ask


def _pieces(items: tuple[T, ...], count: int) -> list[tuple[T, ...]]:
    bounds = [number * len(items) // count for number in range(count + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


def _candidates(pieces: Sequence[tuple[T, ...]]) -> Iterator[tuple[T, ...]]:
    """Yield each piece, then what is left without each."""
    yield from pieces
    for place in range(len(pieces) if len(pieces) > 2 else 0):
        yield tuple(item for number, piece in enumerate(pieces) if number != place for item in piece)


def _tightened(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Return the schedule with shorter and earlier faults, as far as it still fails."""
    first = min((each.at for each in schedule), default=0.0)
    earlier = tuple(replace(each, at=each.at - first) for each in schedule)
    if first and fails(earlier):
        schedule = earlier
    for place in range(len(schedule)):
        while (tried := _halved(schedule, place)) is not None and fails(tried):
            schedule = tried
    return schedule


def _halved(schedule: Schedule, place: int) -> Schedule | None:
    """Return the schedule in which one fault lasts half as long; None if that is too short."""
    each: Planned = schedule[place]
    seconds = max(SHORTEST, round(each.seconds / 2, 3))
    if seconds >= each.seconds:
        return None
    return (*schedule[:place], replace(each, seconds=seconds), *schedule[place + 1 :])
