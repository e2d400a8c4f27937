"""Stamps console lines with their time: `python -m vdc.host.console_recorder NAME=RAWLOG …`.

QEMU writes all that a guest sends to its console into a raw log, from power-on, whether anybody looks or not. This
daemon follows the raw logs and writes each completed line with the time it was seen (UTC, at most 50 ms late) into
`NAME.log` beside them. If it dies, nothing is lost but the times.
"""

from __future__ import annotations

import sys
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


def main(arguments: list[str]) -> None:
    """Follow until killed."""
    followers = []
    for argument in arguments:
        name, _, raw = argument.partition("=")
        followers.append(Follower(raw=Path(raw), stamped=Path(raw).with_name(f"{name}.log")))
    for follower in followers:
        follower.stamped.touch()  # a guest that wakes has nothing to say
    for _ in ticks(PERIOD_SECONDS):
        for follower in followers:
            follower.follow(datetime.now(UTC))


if __name__ == "__main__":
    main(sys.argv[1:])
