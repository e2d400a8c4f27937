"""Has a lease kept: starts its keeper, waits for it, lets it go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vdc.host.keeper import mark_of
from vdc.shell import daemon, in_namespace
from vdc.wait import NotYet, wait_for

FOR_EVER: Final = 0.0
"""As the seconds of a lease: it does not run out."""


def keep(file: Path, seconds: float, command: Sequence[str], *, netns: str) -> None:
    """Start a keeper in a namespace; what it says goes into a log beside the file."""
    argv = [sys.executable, "-m", "vdc.host.keeper", str(file), str(seconds), *command]
    with file.with_suffix(".log").open("wb") as output:
        daemon(in_namespace(netns, argv), output=output)


def wait_standing_by(file: Path, *, timeout: float) -> None:
    """Wait until a keeper keeps a lease. Raises WaitTimeout with what it said: nobody does."""

    def kept() -> None:
        if not mark_of(file).exists():
            raise NotYet(_said(file) or "no sign of it")

    wait_for(kept, what="the keeper of the lease to stand by", timeout=timeout, interval=0.02)


def let_go(file: Path) -> None:
    """Remove a lease. Only for who is alone with it."""
    for path in (file, mark_of(file), file.with_suffix(".log")):
        path.unlink(missing_ok=True)


def _said(file: Path) -> str:
    log = file.with_suffix(".log")
    return log.read_text(encoding="utf-8", errors="replace").strip()[-500:] if log.exists() else ""
