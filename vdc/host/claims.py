"""Who owns a name on this host: namespaces are named after instances, and there is one list of them for all.

A claim is a symbolic link in /run/vdc from the instance's name to its run directory: made in one step, gone with the
host's memory, and readable by whoever finds the name taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from vdc.errors import InputError
from vdc.host.locks import exclusive

CLAIMS: Final = Path("/run/vdc")
PLAN: Final = "plan.json"
"""The file of a run directory that says what its data centre is made of."""
PLANNED: Final = "planned.json"
"""The file beside it that says what it is being made into, while that goes on."""


def owner(name: str, claims: Path = CLAIMS) -> Path | None:
    """Return the run directory that has claimed a name, or None."""
    try:
        return (claims / name).readlink()
    except FileNotFoundError:
        return None


def everyone(claims: Path = CLAIMS) -> dict[str, Path]:
    """Return every claimed name and the run directory that has claimed it."""
    found = {}
    for link in sorted(claims.iterdir()) if claims.is_dir() else ():
        with suppress(FileNotFoundError):  # given back just now
            found[link.name] = link.readlink()
    return found


@contextmanager
def locked(claims: Path = CLAIMS) -> Iterator[None]:
    """Hold the lock of all claims, under which a name is claimed; it is not for long."""
    claims.mkdir(parents=True, exist_ok=True)
    with exclusive(claims):
        yield


def claim(name: str, directory: Path, claims: Path = CLAIMS) -> None:
    """Claim a name for a run directory, under the lock; what a run directory that is gone has claimed is free.

    Raises:
        InputError: another data centre has it; names its directory.
    """
    holder = owner(name, claims)
    if holder is not None and holder != directory and not holder.exists():
        (claims / name).unlink()
    with suppress(FileExistsError):
        (claims / name).symlink_to(directory)
    if (holder := owner(name, claims)) != directory:
        raise InputError(
            f"{name} is the name of a data centre in {holder}", hint="choose another --name, or use its VDC_STATE_DIR"
        )


def release(name: str, directory: Path, claims: Path = CLAIMS) -> None:
    """Give a name back, if it is this run directory's."""
    with locked(claims):
        if owner(name, claims) == directory:
            (claims / name).unlink()
