"""Keeps a lease: runs a command if whoever holds it dies or cannot heal, or when its time is up.

Started by `vdc.host.keeping`:

    python -m vdc.host.keeper FILE SECONDS COMMAND…

The holder has the lock of the file (flock(2)), which the kernel frees on any death; who has healed it removes the file
first. It waits in the namespace of the data centre, so that it goes with that, and needs nearly no memory: what
heals is loaded by the command.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from vdc.shell import replace

DIED: Final = "its holder died or could not heal it"
EXPIRED: Final = "its time is up"


class _TimeUp(Exception):  # noqa: N818 - a state, not an error
    """The lease has run out."""


def mark_of(file: Path) -> Path:
    """Return the file that a keeper makes when it keeps a lease; it has its process id in it."""
    return file.with_suffix(".keeper")


def main(argv: Sequence[str]) -> None:
    """Wait for the end of the lease; become the command, with the reason as its last word, unless it was let go."""
    path, seconds, *command = argv
    file = Path(path)
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        mark_of(file).write_text(str(os.getpid()))
    except FileNotFoundError:
        return
    why = _wait(handle, float(seconds))
    if os.fstat(handle).st_nlink == 0:
        mark_of(file).unlink(missing_ok=True)
        return
    replace([*command, why])


def _wait(handle: int, seconds: float) -> str:
    signal.signal(signal.SIGALRM, _ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        fcntl.flock(handle, fcntl.LOCK_EX)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except _TimeUp:
        return EXPIRED
    return DIED


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise _TimeUp


if __name__ == "__main__":
    main(sys.argv[1:])
