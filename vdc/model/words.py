"""Words for people who mistyped one."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_LISTED: Final = 12
"""How many words are listed where none is close."""

_COMPARED: Final = 150
"""How many words before and after it a word is compared with: to compare with thousands takes long."""


def suggest(word: str, known: Collection[str]) -> str:
    """Return what to say after an unknown word: `; did you mean "racks"?`, or which words there are."""
    if close := get_close_matches(word, _neighbours(word, known), n=1):
        return f'; did you mean "{close[0]}"?'
    shown = list(known)
    if len(shown) > _LISTED:
        shown = [*shown[:_LISTED], "…"]
    return f"; there are {', '.join(shown)}" if shown else ""


def _neighbours(word: str, known: Collection[str]) -> Collection[str]:
    """Return the words that stand near a word in the alphabet; all, if they are few."""
    if len(known) <= 2 * _COMPARED:
        return known
    ordered = sorted(known)
    place = bisect(ordered, word)
    return ordered[max(0, place - _COMPARED) : place + _COMPARED]
