"""Processes that sample: started for a body, stopped after it, and what they have written to a history."""

from __future__ import annotations

import json
import signal
import subprocess  # noqa: TID251 - the types only; vdc.shell starts the process
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vdc.errors import VdcError
from vdc.history import Event, events_in

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DURATION = 3600.0
"""Seconds. A probe that nobody stops stops by itself."""

Process = subprocess.Popen[bytes]


class ProbeError(VdcError):
    """The probe itself failed: nothing can be said of the cluster."""


def save(config: DataclassInstance, path: Path) -> None:
    """Write what a probe is to do, as JSON."""
    path.write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")


def probe(sample: Callable[[Path], object], arguments: Sequence[str]) -> None:
    """Sample as a configuration file says, the only argument; exits 1 if nobody stopped it."""
    try:
        sample(Path(arguments[0]))
    except VdcError as error:
        sys.exit(f"the probe stopped by itself: {error}")


class Tail:
    """The events appended to a history file since this was made; a line that is no event is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._events: list[Event] = []

    def read(self) -> list[Event]:
        """Return all of them so far."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _torn = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            self._events += events_in(whole.decode(errors="replace").splitlines())
        return self._events


class Sampler:
    """A process that samples, with its log."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    def expect_alive(self) -> None:
        """Pass while it runs. Raises ProbeError with what it said."""
        if self._process.poll() is not None:
            raise ProbeError(f"the probe died: {self.said()}")

    def stop(self, *, patience: float) -> None:
        """Ask it to end, and wait for it, so many seconds at most. Raises ProbeError: it did not end well."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise ProbeError(f"the probe did not end within {patience:.0f} s: {self.said()}") from error
        if status != 0:
            raise ProbeError(f"the probe died with status {status}: {self.said()}")

    def said(self) -> str:
        """Return the end of its log."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return text[-2000:] or "(it said nothing)"


@contextmanager
def sampler(log: Path, start: Callable[[IO[bytes]], Process]) -> Iterator[Sampler]:
    """Have a process run for the body, `start`ed with both its outputs in `log`; after it, it is gone in any case."""
    with log.open("ab") as output:
        process = start(output)
        try:
            yield Sampler(process, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
