"""What happens around the body of a scenario: on its consoles, on this host, and in other processes of the run."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import WaitTimeout
from vdc.history import Event, events_in
from vdc.observe.consoles import console_clean, findings
from vdc.observe.load import starved
from vdc.observe.logs import Logs
from vdc.observe.verdict import Kind
from vdc.pytest_plugin.rulings import Seen
from vdc.wait import NotYet, wait_for

GUEST_STARVED: Final = frozenset({"soft lockup", "hard lockup", "hung task", "stall"})
"""Console rules that a guest breaks whose virtual CPUs did not run: on a starved host they tell only that."""

_LATEST_SAMPLE: Final = 2.5  # seconds


class Watcher:
    """Sees what history and consoles gain from when it is made; `logs` are how far it has read."""

    def __init__(self, dc: DataCenter, logs: Logs | None = None) -> None:
        self._dc = dc
        self._start = time.monotonic()
        self._offset = dc.recorder.path.stat().st_size
        self.logs = logs or Logs.now(dc.run_directory)

    def seen(self, allowed: Sequence[str], *, patient: bool) -> Seen:
        """Return what speaks against the scenario, or against judging it; `patient`: wait for the last sample."""
        end = time.monotonic()
        if patient and self._dc.slowness:
            with suppress(WaitTimeout):  # a sampler that is gone tells nothing
                wait_for(partial(self._sampled, end), what="a sample of the load", timeout=_LATEST_SAMPLE)
        said, self.logs = self.logs.read()
        events = [*self._events(), *(event for event in said if event.kind == "console")]
        found = [finding for finding in findings(events) if finding.rule not in allowed]
        host = starved(events, start=self._start, end=end)
        guests = [str(finding) for finding in found if host and finding.rule in GUEST_STARVED]
        verdict = console_clean(events, allowed=[*allowed, *(GUEST_STARVED if host else ())])
        return Seen(
            starved="; ".join(filter(None, (host, *guests))),
            console=verdict.message if verdict.kind is Kind.INVALID else "",
        )

    def _sampled(self, end: float) -> None:
        if not any(event.kind == "load" and event.time >= end for event in self._events()):
            raise NotYet("there is none")

    def _events(self) -> list[Event]:
        with self._dc.recorder.path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().rpartition(b"\n")[0].splitlines()
        told = (line.decode(errors="replace") for line in lines if b'"kind":"op"' not in line)
        # one that a killed process left half-written proves nothing against the scenario
        return list(events_in(told))


@contextmanager
def among_others(folder: Path) -> Iterator[None]:
    """Do the body while no process does its own `alone`."""
    with _files(folder) as (gate, room):
        fcntl.flock(gate, fcntl.LOCK_EX)  # whoever waits to be alone holds it: the others cannot starve it
        fcntl.flock(room, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Do the body while no other process does its own, here or in `among_others`."""
    with _files(folder) as (gate, room):
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX)
        yield


@contextmanager
def _files(folder: Path) -> Iterator[tuple[int, int]]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".gate").open("w") as gate, (folder / ".room").open("w") as room:
        yield gate.fileno(), room.fileno()
