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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.pace import deadline
from vdc.errors import BuildError
from vdc.host import keeping
from vdc.host.namespaces import identity

FILE: Final = "standing.json"
"""In the run directory of a data centre while its guests stand still: their names."""

_KEPT_SECONDS: Final = 20.0


@contextmanager
def standing_still(dc: LiveDataCenter, servers: Sequence[LiveMachine]) -> Iterator[float]:
    """Stop all guests at one instant, and let them go on after the body, or when this process dies in it.

    The body is told since when they stand still, in seconds of the monotonic clock.

    Raises WaitTimeout: nobody stands by for that, so they were not stopped; BuildError: one cannot be stopped.
    """
    with _kept(dc, [server.name for server in servers]), ExitStack() as going_on:
        since = time.monotonic()
        for server in servers:
            going_on.callback(_resume, server)
            server.libvirt.suspend(server.name)
        yield since


@contextmanager
def _kept(dc: LiveDataCenter, names: Sequence[str]) -> Iterator[None]:
    if identity(dc.plan.context.netns) is None:  # it is gone, and its guests with it
        yield
        return
    file = dc.run_directory / FILE
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
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
    """Let guests go on that stand still though nobody is at work on them any more; the history tells why."""
    from vdc.datacenter.lifecycle import attach
    from vdc.settings import Settings
    from vdc.steps import Steps

    path, why = argv
    file = Path(path)
    directory = file.parent
    dc = attach(directory.name, replace(Settings.from_environment(), state_dir=directory.parent), Steps())
    names = json.loads(file.read_text(encoding="utf-8"))
    for name in names:
        _resume(dc.servers[name])
    dc.recorder.record("note", "standing", servers=names, why=why)
    keeping.let_go(file)


def _resume(server: LiveMachine) -> None:
    with suppress(BuildError):  # one that is gone must not keep the others standing
        if server.libvirt.state(server.name) == "paused":
            server.libvirt.resume(server.name)


if __name__ == "__main__":
    main(sys.argv[1:])
