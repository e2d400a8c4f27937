"""From single samples, of which a run has a million, to when a service was there for its users. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Final

from vdc.observe.ops import Gap, Operation
from vdc.observe.outages import Outage, waits

USUAL_WAITS: Final = 3.0
"""How many times the usual wait a wait must last to be called an outage."""

_LEAST: Final = 0.02  # seconds; no scheduler is more exact than that
_RUN_OF_ONE: Final = re.compile(r"\S*/?[0-9a-f]{8,}\b")


@dataclass(slots=True, kw_only=True)
class Failures:
    """Samples of one lane that failed alike, one after the other, without a good one of that member between."""

    member: str
    error: str
    start: float
    end: float
    count: int = 1

    def __str__(self) -> str:
        times = f"{self.count} × " if self.count > 1 else ""
        return f"{times}{self.error}{f' ({self.member})' if self.member else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """What one run of a probe saw, from `start` to `end`, of one kind of operation.

    `usual` is the median of its waits, `threshold` how long a wait must last to be an outage, both in seconds.
    """

    start: float
    end: float
    samples: int
    usual: float
    threshold: float
    operations: Sequence[Operation]
    failures: tuple[Failures, ...]
    waits: tuple[Outage, ...]


@dataclass(slots=True)
class Samples:
    """Takes samples as they come, by the lane they belong to; a lane is a kind of probe and of operation."""

    _stints: dict[tuple[str, str], list[Operation]] = field(default_factory=dict)
    _gaps: dict[str, list[Gap]] = field(default_factory=dict)

    def add(self, operation: Operation, source: str) -> None:
        """Take a sample of the probe `source`."""
        self._stints.setdefault((source, operation.op), []).append(operation)

    def add_gap(self, gap: Gap, source: str) -> None:
        """Take a stretch in which a probe was starved."""
        self._gaps.setdefault(source, []).append(gap)

    def lanes(self) -> Iterator[tuple[str, tuple[Stint, ...], tuple[Gap, ...]]]:
        """Yield each lane with its stints, in order of time, and when its probes were starved. Frees the samples."""
        sources: dict[str, list[tuple[str, str]]] = {}
        for key in self._stints:
            sources.setdefault(lane_of(*key), []).append(key)
        for name, keys in sources.items():
            gaps = tuple(gap for source, _ in keys for gap in self._gaps.get(source, ()))
            stints = sorted((stint(self._stints.pop(key)) for key in keys), key=lambda one: one.start)
            yield name, tuple(stints), gaps


def lane_of(source: str, op: str) -> str:
    """Return the name of the lane that a sample belongs to: a probe's name without what is different in each run."""
    words = (word for word in source.split() if not _RUN_OF_ONE.fullmatch(word))
    return " ".join((*(word.removesuffix("-probe") for word in words), f"{op}s"))


def stint(samples: Sequence[Operation]) -> Stint:
    """Return what a probe saw; the samples, at least one, are of one kind of operation."""
    op = samples[0].op
    found = waits(samples, op)
    usual = median(wait.seconds for wait in found)
    threshold = max(_LEAST, USUAL_WAITS * usual)
    return Stint(
        start=min(sample.start for sample in samples),
        end=max(sample.end for sample in samples),
        samples=len(samples),
        usual=usual,
        threshold=threshold,
        operations=samples,
        failures=tuple(failures(samples)),
        waits=found,
    )


def failures(samples: Iterable[Operation]) -> Iterator[Failures]:
    """Yield the runs of samples that failed alike, in the order they began."""
    found: list[Failures] = []
    open_runs: dict[str, Failures] = {}
    for sample in samples:
        if sample.ok:
            open_runs.pop(sample.member, None)
            continue
        error = sample.error or sample.outcome.value
        last = open_runs.get(sample.member)
        if last is not None and last.error == error:
            last.count += 1
            last.end = max(last.end, sample.end)
        else:
            new = Failures(member=sample.member, error=error, start=sample.start, end=sample.end)
            open_runs[sample.member] = new
            found.append(new)
    yield from sorted(found, key=lambda one: one.start)


def profile(stints: Iterable[Stint], *, start: float, end: float, bins: int) -> list[int]:
    """Return the longest wait that began in each of `bins` equal parts of the time, in milliseconds, rounded up."""
    width = (end - start) / bins or 1.0
    longest = [0.0] * bins
    for wait in (wait for one in stints for wait in one.waits):
        first, last = int((wait.start - start) / width), min(bins - 1, int((wait.end - start) / width))
        lasted = wait.seconds
        for at in range(first, last + 1):
            longest[at] = max(longest[at], lasted)
    return [ceil(seconds * 1000 - 1e-6) for seconds in longest]
