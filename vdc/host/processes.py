"""The processes of a data centre: found by the network namespace they are in, ended by id, never by name."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from vdc.errors import BuildError
from vdc.wait import NotYet, wait_for

_END_SECONDS = 20.0


def living(namespaces: Collection[tuple[int, int]]) -> Iterator[int]:
    """Yield the ids of the processes in network namespaces, known by device and inode."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found = (entry / "ns/net").stat()
                if (found.st_dev, found.st_ino) in namespaces:
                    yield int(entry.name)


def command(pid: int) -> str:
    """Return the name of a process's command, or an empty text if it is gone."""
    try:
        return (Path("/proc") / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def send(pids: Collection[int], number: signal.Signals) -> None:
    """Send processes a signal; those that are gone are fine."""
    for pid in pids:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def end(pids: Collection[int]) -> None:
    """Kill processes and wait until they are gone; those that are gone already are fine.

    A process file descriptor holds on to the very process, so a reused id is never hit.

    Raises:
        BuildError: one of them did not end, which only the kernel can prevent.
    """
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            handles[pid] = os.pidfd_open(pid)
    try:
        for handle in handles.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        for pid, handle in handles.items():
            if not select.select([handle], [], [], _END_SECONDS)[0]:
                raise BuildError(f"process {pid} ({command(pid)})", f"not gone {_END_SECONDS:.0f} s after SIGKILL")
    finally:
        for handle in handles.values():
            os.close(handle)


def end_all(namespaces: Collection[tuple[int, int]]) -> None:
    """End every process in these network namespaces, and those they start meanwhile."""

    def none_left() -> None:
        pids = list(living(namespaces))
        end(pids)
        if pids:
            raise NotYet(f"processes {pids} were just ended")

    wait_for(none_left, what="the processes of a data centre to end", timeout=_END_SECONDS, interval=0.01)
