"""One attempt at a path of upgrades, and how long its steps took beside those of the nights before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

SLOWER: Final = 1.3
"""From how many times the median of the nights before on a step is flagged."""

_NIGHTS: Final = 7
_FEWEST: Final = 2  # of which there is a median worth the name
_LEAST_SECONDS: Final = 0.5  # less is the noise of any host


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt: a variant of a path, on a topology.

    `when` is UTC, as `2026-11-22T21:40:00Z`; `verdict` an outcome of the report ("passed", "failed", …); `steps` are
    the seconds that each step took, `vdc` is vdc's version, and `host` the accelerator: times of others differ.
    """

    path: str
    variant: str
    origin: str
    target: str
    topology: str
    when: str
    verdict: str
    seconds: float
    steps: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    vdc: str = ""
    host: str = ""

    def like(self, other: Tried) -> bool:
        """Return whether the durations of two attempts can be compared."""
        mine, others = (
            (each.path, each.variant, each.origin, each.target, each.topology, each.host) for each in (self, other)
        )
        return mine == others


class Slower(NamedTuple):
    """A step that took longer than it usually does, in seconds."""

    step: str
    seconds: float
    usual: float

    def __str__(self) -> str:
        more = 100 * (self.seconds / self.usual - 1)
        return f"{self.step}: {self.seconds:.1f} s, usually {self.usual:.1f} s ({more:+.0f} %)"


def usual(history: Iterable[Tried], now: Tried) -> Mapping[str, float]:
    """Return how long each step took by the median of the last nights that passed: what `now` is compared with."""
    before = [each for each in history if each.like(now) and each.verdict == "passed" and each.when < now.when]
    found: dict[str, list[float]] = {}
    for each in before[-_NIGHTS:]:
        for step, seconds in each.steps.items():
            found.setdefault(step, []).append(seconds)
    return {step: median(times) for step, times in found.items() if len(times) >= _FEWEST}


def slower(history: Iterable[Tried], now: Tried) -> tuple[Slower, ...]:
    """Return the steps that took more than 30 % longer than by the median of the last nights."""
    times = usual(history, now)
    return tuple(
        Slower(step, seconds, times[step])
        for step, seconds in now.steps.items()
        if step in times and is_slower(seconds, times[step])
    )


def is_slower(seconds: float, usually: float) -> bool:
    """Return whether a step took longer than what may be."""
    return seconds > SLOWER * usually and seconds - usually > _LEAST_SECONDS


def latest(history: Sequence[Tried]) -> Mapping[tuple[str, str], Tried]:
    """Return the last attempt of each path and variant."""
    return {(each.path, each.variant): each for each in sorted(history, key=lambda each: each.when)}
