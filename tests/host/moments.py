"""Killing a command at a moment: what it leaves then must be known, and removable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.host.conftest import Command
from vdc.shell import start
from vdc.wait import NotYet, wait_for

Moment = Callable[[str, Path], bool]
"""Whether a command, of which that much is heard, working on that folder, has got so far."""


def says(text: str) -> Moment:
    return lambda heard, _: text in heard


def has(path: str) -> Moment:
    return lambda _, folder: (folder / path).exists()


def kill_at(moment: Moment, folder: Path, argv: Sequence[str], vdc: Command, log: Path) -> str:
    """Start a command that works on a folder, kill it at a moment, and return what it had said."""
    with log.open("wb") as output:
        process = start([*vdc.argv, *argv], output=output, env=vdc.environment)

        def reached() -> None:
            ended = process.poll() is not None
            heard = log.read_text()
            if moment(heard, folder):
                return
            assert not ended, f"it came to its end before the moment: {heard}"
            raise NotYet(heard)

        try:
            wait_for(reached, what="the moment", timeout=120, interval=0.001)
        finally:
            process.kill()
            process.wait()
    return log.read_text()
