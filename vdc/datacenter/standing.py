"""Guests that stand still together, and go on whatever becomes of who stopped them.

Whoever stops them holds the lock of a file in the run directory; a process of the data centre (`vdc.host.keeper`) waits
for that lock, and if the file is still there then, lets them go on by running this module:

    python -m vdc.datacenter.standing FILE WHY
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from vdc.datacenter.live import LiveDataCenter, held
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.pace import deadline
from vdc.errors import BuildError, DirtyError
from vdc.host import keeping
from vdc.host.namespaces import identity
from vdc.wait import NotYet, wait_for

PATTERN: Final = "standing-*.json"
"""Files in the run directory of a data centre: one while its guests stand still, with their names."""

_KEPT_SECONDS: Final = 20.0
_BUSY_SECONDS: Final = 60.0


@contextmanager
def standing_still(dc: LiveDataCenter, servers: Sequence[LiveMachine]) -> Iterator[float]:
    """Stop all guests at one instant, and let them go on after the body, or when this process dies in it.

    The body is told since when they stand still, in seconds of the monotonic clock. It has the data centre to itself:
    who calls this holds the lock of its run directory.

    Raises:
        WaitTimeout: nobody stands by for that, so they were not stopped.
        BuildError: one cannot be stopped, or does not go on; then the data centre is dirty.
    """
    with _kept(dc, [server.name for server in servers]):
        since = time.monotonic()
        try:
            for server in servers:
                server.libvirt.suspend(server.name)
            yield since
        finally:
            _let_go_on(dc, servers)


@contextmanager
def _kept(dc: LiveDataCenter, names: Sequence[str]) -> Iterator[None]:
    if identity(dc.plan.context.netns) is None:  # it is gone, and its guests with it
        yield
        return
    file = dc.run_directory / PATTERN.replace("*", uuid.uuid4().hex[:12])
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, json.dumps(names).encode())
        lets_go = [sys.executable, "-m", "vdc.datacenter.standing", str(file)]
        keeping.keep(file, keeping.FOR_EVER, lets_go, netns=dc.plan.context.netns)
        keeping.wait_standing_by(file, timeout=deadline(dc, _KEPT_SECONDS))
        yield
    finally:
        keeping.let_go(file)
        os.close(handle)


def main(argv: Sequence[str]) -> None:
    """Let guests go on that stand still though nobody is at work on them any more; the history tells why.

    Raises WaitTimeout: somebody else is at work on the data centre; BuildError: one does not go on.
    """
    from vdc.datacenter.lifecycle import attach
    from vdc.settings import Settings
    from vdc.steps import Steps

    path, why = argv
    file = Path(path)
    directory = file.parent
    with ExitStack() as alone:
        wait_for(
            lambda: _take(alone, directory),
            what=f"nobody else to be at work on {directory.name}",
            timeout=_BUSY_SECONDS,
        )
        if not file.exists():  # it was taken down meanwhile
            return
        dc = attach(directory.name, replace(Settings.from_environment(), state_dir=directory.parent), Steps())
        names = json.loads(file.read_text(encoding="utf-8"))
        dc.recorder.record("note", "standing", servers=names, why=why)
        _let_go_on(dc, [dc.servers[name] for name in names])
        keeping.let_go(file)


def _take(alone: ExitStack, directory: Path) -> None:
    try:
        alone.enter_context(held(directory))
    except DirtyError as error:
        raise NotYet(error.message) from error


def _let_go_on(dc: LiveDataCenter, servers: Sequence[LiveMachine]) -> None:
    """Resume all that stand still; one that is gone does not. Raises BuildError: one does not go on."""
    stuck = {server.name: why for server in servers if (why := _resumed(server))}
    if stuck:
        reason = "; ".join(f"{name} stands still: {why}" for name, why in stuck.items())
        dc.mark_dirty(reason)
        raise BuildError(f"data centre {dc.name}", reason, hint=f"`vdc power {dc.name} SERVER on` lets one go on")


def _resumed(server: LiveMachine) -> str:
    """Let a guest go on; return why it still stands, or an empty text."""
    try:
        if server.libvirt.state(server.name) == "paused":
            server.libvirt.resume(server.name)
    except BuildError as error:
        with suppress(BuildError):  # it is gone
            return error.reason if server.libvirt.state(server.name) == "paused" else ""
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
