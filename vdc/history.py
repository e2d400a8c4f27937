"""The history of a run: one append-only file of events on one clock, written by many processes.

Every event is a JSON line. Times are seconds of the host's monotonic clock, which all processes of one host share;
the first line of a file ties it to the wall clock. A line is written with a single `write(2)` to a file opened for
appending, so lines of several processes never mix.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at `time` (host monotonic seconds).

    `kind` is one of: clock, step, fault, power, op, gap, flows, outage, rolling, boot, note. `source` is who says so (a
    probe, a device, the harness). `data` is plain JSON and depends on the kind:

    * step: {"name", "phase": "start"|"done"|"failed", "error"?}
    * fault: {"name", "phase": "inject"|"bites"|"heal"|"healed"|"failed"}
    * power: {"server", "action"}
    * op: see `vdc.observe.ops.Operation`
    * gap: {"seconds"}: the probe itself was starved and saw nothing for so long
    * flows: what became of numbered packets, see `vdc.observe.flow_watch`
    * rolling: {"name", "phase": "start"|"held"|"failed"|"back", "reason"}: of a node in a queue (`vdc.rolling`)
    * boot: {"boot", "begun", "ended", "end"}: what a server's journal says of a boot of its (`vdc.rolling.boots`)
    * outage: {"flow", "seconds", "lost", "over"}: so many packets of one of its streams were lost, up to `time`
    """

    time: float
    kind: str
    source: str
    data: dict[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the event as one JSON line, with its newline."""
        return (
            json.dumps(
                {"time": round(self.time, 6), "kind": self.kind, "source": self.source, "data": self.data},
                separators=(",", ":"),
            )
            + "\n"
        )

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Return the event that `line` holds; raises ValueError or KeyError where it holds none."""
        raw = json.loads(line)
        return cls(time=raw["time"], kind=raw["kind"], source=raw["source"], data=raw["data"])


class Recorder:
    """Appends events to a history file; safe to use from several processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, kind: str, source: str, **data: object) -> Event:
        """Append an event that happens now, and return it."""
        event = Event(time=time.monotonic(), kind=kind, source=source, data=data)
        self.write([event])
        return event

    def write(self, events: Iterable[Event]) -> None:
        """Append `events` in one write."""
        block = "".join(event.to_line() for event in events).encode()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, block)
        finally:
            os.close(handle)

    def start(self) -> None:
        """Record how the monotonic clock stands to the wall clock."""
        self.record("clock", "harness", wall=time.time())


def read(path: Path, *, damaged: Callable[[str], object] = str) -> Iterator[Event]:
    """Yield the events of a history file in the order they were written; a torn last line is left out.

    So is any other line that holds no event, as a full disk or a power cut leaves: `damaged` hears of it.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from events_in((line for line in file if line.endswith("\n")), damaged=damaged)


def events_in(lines: Iterable[str], *, damaged: Callable[[str], object] = str) -> Iterator[Event]:
    """Yield the events of whole lines; `damaged` hears of a line that holds none."""
    for line in lines:
        try:
            event = Event.from_line(line)
        except (ValueError, KeyError, TypeError):
            damaged(line)
            continue
        yield event
