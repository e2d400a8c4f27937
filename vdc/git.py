"""What git knows of a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vdc.shell import run

_SECONDS: Final = 60.0


def git(place: Path, *words: str) -> str:
    """Return what git answers in a folder of a checkout, without white space around it.

    Raises CommandError: it refuses; HostError: there is no git.
    """
    # under sudo the checkout is somebody else's
    return run(["git", "-c", "safe.directory=*", "-C", str(place), *words], timeout=_SECONDS).stdout.strip()
