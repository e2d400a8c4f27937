"""What a server keeps on its own data disk: what was synced must be there after anything; of the rest it is told how
much was lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.observe.verdict import Kind, Verdict, shown

LINES: Final = 20
"""How many lines are written of each kind."""

WRITE: Final = """\
set -e
mkdir "$1"
i=0
while [ $i -lt "$2" ]; do echo "line $i" >> "$1/synced"; sync "$1/synced"; i=$((i + 1)); done
while [ $i -gt 0 ]; do i=$((i - 1)); echo "line $i" >> "$1/unsynced"; done
"""
"""What a shell in a guest does to write lines, of which some are synced one by one: its arguments."""
READ: Final = 'cat "$1/synced"; echo =====; cat "$1/unsynced" 2>/dev/null; rm -r "$1"'
"""What it does to read them, and to leave nothing behind."""

_TIMEOUT: Final = 60.0


@dataclass(slots=True)
class Kept:
    """What was found after the body: the lines of each kind."""

    synced: tuple[str, ...] = ()
    unsynced: tuple[str, ...] = ()


@contextmanager
def keeping_locally(dc: DataCenter, server: str) -> Iterator[Kept]:
    """Write lines to a server's data disk before the body, and read them after it, when it answers again.

    How many there are then of each kind is in the history. Raises CommandError, WaitTimeout.
    """
    folder, kept, machine = f"/data/vdc-local-{uuid.uuid4().hex[:8]}", Kept(), dc.servers[server]
    machine.run(["sh", "-c", WRITE, "sh", folder, str(LINES)], timeout=_TIMEOUT)
    yield kept
    synced, _, unsynced = machine.run(["sh", "-c", READ, "sh", folder], timeout=_TIMEOUT).stdout.partition("=====\n")
    kept.synced, kept.unsynced = tuple(synced.splitlines()), tuple(unsynced.splitlines())
    there = {"synced": len(kept.synced), "unsynced": len(kept.unsynced)}
    dc.recorder.record("note", "local disk", server=server, wrote=LINES, **there)


def local_data(kept: Kept, *, lines: int = LINES) -> Verdict:
    """Judge whether all lines are there that were synced, in their order, and nothing that nobody wrote.

    The figure `unsynced_lost` is how many of the others are gone, which a loss of power may take. Pure.
    """
    wrote = [f"line {number}" for number in range(lines)]
    bad = [f"synced and lost: {line}" for line in wrote if line not in kept.synced]
    bad += [f"never written: {line!r}" for line in (*kept.synced, *kept.unsynced) if line not in wrote]
    if not bad and list(kept.synced) != wrote:
        bad = ["synced lines are not in their order"]
    lost = _lost(wrote[::-1], kept.unsynced)
    figures = {"synced_lost": float(sum(line not in kept.synced for line in wrote)), "unsynced_lost": float(lost)}
    kind = Kind.INVALID if bad else Kind.VALID if lines else Kind.UNKNOWN
    message = (
        shown(bad) if bad else f"all of {lines} synced lines are there; of as many that were not, {lost} were lost"
    )
    return Verdict(kind=kind, checker="local_data", message=message, figures=figures)


def _lost(wrote: Sequence[str], found: Sequence[str]) -> int:
    return sum(line not in found for line in wrote)
