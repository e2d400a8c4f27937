"""Stamps console lines with their time: `python -m vdc.host.console_recorder DIRECTORY`.

QEMU writes all that a guest sends to its console into a raw log, from power-on, whether anybody looks or not. This
daemon follows every raw log of a directory, also those that come later, and writes each completed line with the time
it was seen (UTC, at most 50 ms late) into `NAME.log` beside it. If it dies, nothing is lost but the times.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from vdc.wait import ticks

PERIOD_SECONDS = 0.05


@dataclass(slots=True)
class Follower:
    """Follows one raw log."""

    raw: Path
    stamped: Path
    _offset: int = 0
    _rest: bytes = field(default=b"")

    def follow(self, now: datetime) -> None:
        """Write the lines that were completed since the last call, stamped with `now`."""
        try:
            size = self.raw.stat().st_size
        except FileNotFoundError:
            return
        if size <= self._offset:
            return
        with self.raw.open("rb") as file:
            file.seek(self._offset)
            block = file.read()
        self._offset += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        stamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z ".encode()
        with self.stamped.open("ab") as file:
            file.writelines(stamp + line.rstrip(b"\r") + b"\n" for line in lines)


def followers(directory: Path, known: Mapping[Path, Follower]) -> dict[Path, Follower]:
    """Return a follower for each raw log that is there: the known one, or one that begins at its start."""
    return {raw: known.get(raw) or _begin(raw) for raw in directory.glob("*.raw")}


def _begin(raw: Path) -> Follower:
    stamped = raw.with_suffix(".log")
    stamped.touch()  # a guest that wakes has nothing to say
    return Follower(raw=raw, stamped=stamped)


def main(directory: Path) -> None:
    """Follow until killed."""
    found: dict[Path, Follower] = {}
    for _ in ticks(PERIOD_SECONDS):
        found = followers(directory, found)
        for follower in found.values():
            follower.follow(datetime.now(UTC))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
