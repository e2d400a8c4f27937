"""Nothing of a fault may outlive it: what is left of those that nobody holds any more is told by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import DirtyError, InputError, WaitTimeout
from vdc.faults.catalogue import from_record
from vdc.faults.lease import held, is_held
from vdc.wait import NotYet, wait_for

_SECONDS = 10.0


def leftovers(dc: DataCenter) -> tuple[str, ...]:
    """Return what faults have left on a data centre, but what belongs to those that somebody holds now."""
    leases = held(dc.run_directory)
    theirs = [each for each in leases if is_held(Path(each["file"]))]
    marks = [mark for lease in theirs for mark in _marks(lease, dc)]
    orphans = (f"{each['name']}, which nobody holds any more" for each in leases if each not in theirs)
    return (*(text for text in dc.leftovers() if not any(mark in text for mark in marks)), *orphans)


def expect_nothing_left(dc: DataCenter) -> None:
    """Wait until nothing is left of faults that nobody holds; the last of it takes a moment to go.

    Raises DirtyError naming what stays; the data centre is marked dirty.
    """

    def check() -> None:
        if found := leftovers(dc):
            raise NotYet("; ".join(found))

    try:
        wait_for(check, what="nothing to be left of faults", timeout=deadline(dc, _SECONDS))
    except WaitTimeout as error:
        reason = f"faults have left on {dc.name}: {error.last}"
        dc.mark_dirty(reason)
        raise DirtyError(reason, hint=f"`vdc fault heal {dc.name}` heals what has a lease") from error


def _marks(lease: Mapping[str, Any], dc: DataCenter) -> Iterator[str]:
    """Yield the texts by which what belongs to a lease is known."""
    yield Path(lease["file"]).stem
    try:
        yield from_record(lease["fault"], dc).key
    except InputError:  # of a kind that is not known here
        return
