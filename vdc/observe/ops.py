"""One sample of a service: an operation that a user could have made, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from vdc.history import Event


class Outcome(StrEnum):
    """What is known of an operation after it ended.

    UNKNOWN is a write that was sent and never acknowledged: it may have happened, then or later. A read
    that brought no answer is FAILED, and so is a write that was never sent.
    """

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write or a read of `key` through `member`, from `start` to `end` (host monotonic seconds).

    `value` is what was written, or what was seen by a read that succeeded (None: the key was absent).
    """

    op: str
    key: str
    value: str | None
    start: float
    end: float
    outcome: Outcome
    member: str
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged or answered."""
        return self.outcome is Outcome.OK

    def to_event(self, source: str) -> Event:
        """Return it as an event of the history, at the time it started."""
        data: dict[str, object] = {
            "op": self.op,
            "key": self.key,
            "value": self.value,
            "end": round(self.end, 6),
            "outcome": self.outcome.value,
            "member": self.member,
        }
        if self.error is not None:
            data["error"] = self.error
        return Event(time=self.start, kind="op", source=source, data=data)

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Return the operation that `event` records; raises ValueError or KeyError where it records none."""
        if event.kind != "op":
            raise ValueError(f"not an operation but {event.kind!r}")
        data = event.data
        return cls(
            op=data["op"],
            key=data["key"],
            value=data["value"],
            start=event.time,
            end=data["end"],
            outcome=Outcome(data["outcome"]),
            member=data["member"],
            error=data.get("error"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch in which the probe `source` was starved and sampled nothing: `seconds` long, up to `end`."""

    end: float
    seconds: float
    source: str = ""

    @property
    def start(self) -> float:
        """When it began, in monotonic seconds."""
        return self.end - self.seconds

    @classmethod
    def from_event(cls, event: Event) -> Self:
        """Return the gap that `event` records; raises ValueError or KeyError where it records none."""
        if event.kind != "gap":
            raise ValueError(f"not a gap but {event.kind!r}")
        return cls(end=event.time, seconds=event.data["seconds"], source=event.source)


class Stretch(Protocol):
    """Anything that lasted from `start` to `end`, in monotonic seconds."""

    @property
    def start(self) -> float:
        """When it began."""

    @property
    def end(self) -> float:
        """When it ended."""


def blind_seconds(stretch: Stretch, gaps: Iterable[Gap]) -> float:
    """Return for how much of a stretch nobody looked; gaps that overlap count once."""
    covered, reached = 0.0, stretch.start
    for gap in sorted(gaps, key=lambda gap: gap.start):
        begin, finish = max(gap.start, reached), min(gap.end, stretch.end)
        if finish > begin:
            covered += finish - begin
            reached = finish
    return covered
