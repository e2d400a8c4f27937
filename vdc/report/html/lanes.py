"""What a time line is made of. Times are seconds of the host's monotonic clock. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

Group = Literal["scenarios", "steps", "faults", "probes", "routing", "cluster", "nodes", "load"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
"""From the top to the bottom."""

Tone = Literal["good", "bad", "warn", "fault", "off", "step", "dim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasted. `row` is its place in its lane, 0 at the top, where things of a lane overlap."""

    start: float
    end: float
    label: str
    tone: Tone
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened at one moment."""

    time: float
    label: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure over time: values at equal steps from `start` on, `step` seconds each; None: nobody looked."""

    start: float
    step: float
    values: tuple[float | None, ...]
    unit: str


@dataclass(slots=True, kw_only=True)
class Lane:
    """A line of the picture, `name` on its left. `note` tells how to read it."""

    group: Group
    name: str
    note: str = ""
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    line: Line | None = None

    @property
    def place(self) -> tuple[int, list[str | int]]:
        """Where it stands among the others: by its group, then by name, with numbers as numbers."""
        parts = re.split(r"(\d+)", self.name)
        return GROUPS.index(self.group), [int(part) if part.isdigit() else part for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event as a line of text, for the list beside the time line."""

    time: float
    kind: str
    source: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Between `start` and `end` these devices were in that state; shown in the picture of the fabric."""

    start: float
    end: float
    devices: tuple[str, ...]
    state: Literal["off", "fault", "session", "unready"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOutage:
    """An outage of a lane, and what caused it."""

    start: float
    end: float
    lane: str
    cause: str


@dataclass(slots=True, kw_only=True)
class Story:
    """All that one data centre's history tells, from `start` to `end`. `wall` is the time of day at `start`."""

    start: float
    end: float
    wall: float | None
    lanes: list[Lane] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    outages: list[SeenOutage] = field(default_factory=list)
    scenarios: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each test, by pytest's id, when it began and ended."""


def stacked(spans: Iterable[Span], *, rows: int = 4) -> list[Span]:
    """Return the spans, in order of time, each in the first row that is free then, or in the last of `rows`."""
    free: list[float] = []
    placed: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        row = next((at for at, since in enumerate(free) if since <= span.start), min(len(free), rows - 1))
        free[row:] = [span.end, *free[row + 1 :]]
        placed.append(replace(span, row=row))
    return placed
