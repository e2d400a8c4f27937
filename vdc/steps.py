"""Named steps: what the harness is doing, told to people as it happens and to the history for the verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from vdc.history import Recorder


class Listener(Protocol):
    """Hears of every step; the command line shows them, the pytest plugin writes them to the report."""

    def started(self, name: str, depth: int) -> None:
        """A step began inside `depth` others."""

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """A step ended, with `error` if it failed."""


@dataclass(slots=True)
class Steps:
    """Opens steps; pass it to whatever takes long. Without a recorder or listeners it is silent."""

    recorder: Recorder | None = None
    listeners: tuple[Listener, ...] = ()
    _open: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Do the body as the step `name`; steps nest."""
        depth, start = len(self._open), time.monotonic()
        self._open.append(name)
        self._tell("start", name)
        for listener in self.listeners:
            listener.started(name, depth)
        error: str | None = None
        try:
            yield
        except BaseException as caught:
            error = f"{type(caught).__name__}: {caught}"
            raise
        finally:
            self._open.pop()
            self._tell("failed" if error else "done", name, error)
            for listener in self.listeners:
                listener.ended(name, depth, time.monotonic() - start, error)

    def _tell(self, phase: str, name: str, error: str | None = None) -> None:
        if self.recorder is not None:
            self.recorder.record("step", "harness", name=name, phase=phase, **({"error": error} if error else {}))
