"""A port on loopback that leads into a data centre for as long as that lives: `vdc kubeconfig` starts it.

    python -m vdc.host.forward_daemon NETNS FILE ADDRESS:PORT…

It opens the port in the namespace of this host and only then moves into that of a client. From there on it is one of
the processes of the data centre (`vdc.host.processes`): it goes with them, whatever ended who started it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vdc.errors import BuildError
from vdc.host import namespaces, processes
from vdc.host.forward import Target, listen, serve
from vdc.host.locks import exclusive
from vdc.shell import daemon
from vdc.wait import NotYet, wait_for

_MODULE: Final = "vdc.host.forward_daemon"
_ENDED: Final = "ended"
"""The last word of one that cannot run, so that nobody waits for it."""

_START_SECONDS: Final = 20.0
_FIRST, _PORTS = 20000, 10000
"""The ports from which each data centre has one of its own, below those that Linux gives to clients (from 32768)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A forward that runs: the process, its port, and where it leads."""

    pid: int
    port: int
    targets: tuple[Target, ...]


def ensure(netns: str, file: Path, targets: Sequence[Target]) -> int:
    """Return the port of the forward into `netns` that `file` tells of; it is started unless it runs already.

    One that leads elsewhere than to `targets` is replaced. Raises BuildError, WaitTimeout: it does not run.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(file.with_suffix(".lock")):
        found = running(netns, file)
        if found is not None and found.targets == tuple(targets):
            return found.port
        if found is not None:
            processes.end([found.pid])
        file.unlink(missing_ok=True)
        log = file.with_suffix(".log")
        with log.open("wb") as output:
            words = (f"{address}:{port}" for address, port in targets)
            daemon([sys.executable, "-m", _MODULE, netns, str(file), *words], output=output)

        def started() -> Running:
            if (now := running(netns, file)) is not None:
                return now
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            if said.endswith(_ENDED):
                raise BuildError(f"forward into {netns}", said.removesuffix(_ENDED).strip())
            raise NotYet(said[-500:] or "no sign of it")

        return wait_for(started, what=f"the forward into {netns} to run", timeout=_START_SECONDS).port


def running(netns: str, file: Path) -> Running | None:
    """Return the forward that `file` tells of, if it still runs in `netns`."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        process = Path("/proc") / str(told["pid"])
        inside = (process / "ns/net").stat()
        if (inside.st_dev, inside.st_ino) != namespaces.identity(netns):
            return None
        # an id may be another process's by now
        if str(file) not in (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0"):
            return None
    except (OSError, ValueError):
        return None
    return Running(
        pid=told["pid"], port=told["port"], targets=tuple((address, port) for address, port in told["targets"])
    )


def preferred_port(netns: str) -> int:
    """Return the port that the forward into `netns` takes if it is free: the same at every start.

    So what somebody wrote down of it holds again after a restore.
    """
    return _FIRST + zlib.crc32(netns.encode()) % _PORTS


def parse_target(text: str) -> Target:
    """Return `ADDRESS:PORT` as a target; an IPv6 address needs no brackets."""
    address, _, port = text.rpartition(":")
    return address, int(port)


def main(argv: Sequence[str]) -> None:
    """Open the port, move into the namespace, tell of it, and serve until killed."""
    netns, path, *words = argv
    targets = [parse_target(word) for word in words]
    listener = _open(preferred_port(netns))
    try:
        namespaces.enter(netns)
    except BuildError as error:
        sys.exit(f"{error}\n{_ENDED}")
    file = Path(path)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"pid": os.getpid(), "port": listener.getsockname()[1], "targets": targets}))
    part.rename(file)
    serve(listener, targets)


def _open(port: int) -> socket.socket:
    try:
        return listen(port)
    except OSError:
        return listen()


if __name__ == "__main__":
    main(sys.argv[1:])
