"""What a checker concludes, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_SHOWN = 5  # complaints quoted in a message

SAFETY: Final = frozenset({"no_write_lost", "linearizable_register", "set_full", "no_duplicate"})
"""Checkers of what must never happen, however slow anything is: no starved host excuses what they find."""


class UnsafeError(AssertionError):
    """A checker of `SAFETY` found something."""


class Kind(StrEnum):
    """What a checker concluded."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The conclusion of `checker`; `figures` are what it measured, durations in seconds."""

    kind: Kind
    checker: str
    message: str
    figures: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.checker}: {self.kind}: {self.message}"


def judge(*verdicts: Verdict) -> None:
    """Raise AssertionError with every message unless there are verdicts and all of them are valid.

    It is an UnsafeError where one of `SAFETY` is invalid.
    """
    if not verdicts:
        raise AssertionError("nothing was judged")
    bad = [verdict for verdict in verdicts if verdict.kind is not Kind.VALID]
    if bad:
        unsafe = any(verdict.kind is Kind.INVALID and verdict.checker in SAFETY for verdict in bad)
        raise (UnsafeError if unsafe else AssertionError)("\n".join(map(str, bad)))


def shown(complaints: Sequence[str]) -> str:
    """Return the first complaints as one line, and how many more there are."""
    more = f" … and {len(complaints) - _SHOWN} more" if len(complaints) > _SHOWN else ""
    return "; ".join(complaints[:_SHOWN]) + more
