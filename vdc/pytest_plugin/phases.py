"""How long the phases of a run take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vdc.report import FROM_CHECKPOINT, FROM_NOTHING, STANDARD_SUITE


class Phases:
    """Adds up the seconds of each phase."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add what the body takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.monotonic() - start

    def note(self, seconds: Mapping[str, float]) -> None:
        """Take over what others measured, in place of what was known of these phases."""
        self._seconds |= seconds

    def first(self, phase: str, start: float) -> None:
        """Note the seconds since `start` of the monotonic clock, if the phase has not been before."""
        self._seconds.setdefault(phase, time.monotonic() - start)

    def slowest(self, phase: str, start: float) -> None:
        """Note the seconds since `start` of the monotonic clock, if the phase has never taken longer."""
        self._seconds[phase] = max(self._seconds.get(phase, 0.0), time.monotonic() - start)

    def told(self) -> Mapping[str, float]:
        """Return how long phases took; of the standard suite only where all of it ran on what was restored."""
        restored = FROM_CHECKPOINT in self._seconds and FROM_NOTHING not in self._seconds
        return {phase: took for phase, took in self._seconds.items() if phase != STANDARD_SUITE or restored}
