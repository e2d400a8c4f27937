"""The latest packets of the routers at which traffic of users enters and leaves racks and the data centre."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from vdc import shell
from vdc.datacenter.api import DataCenter
from vdc.errors import HostError, WaitTimeout
from vdc.host.namespaces import identity
from vdc.model.topology import Tier
from vdc.wait import NotYet, wait_for

TOTAL: Final = 64 * 1024 * 1024
"""Bytes of the latest packets that are kept of a data centre, all its devices together."""

_MOST: Final = 8 * 1024 * 1024  # of a device
_LEAST: Final = 256 * 1024
_FOLDER, _SOCKET, _LOG = "packets", "packets.sock", "packets.log"
_ANSWER: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The packets of each device as a file (pcapng), and what is told of them: of what time, and how many were lost."""

    files: Mapping[str, bytes]
    told: Mapping[str, Any]


@contextmanager
def capturing(dc: DataCenter) -> Iterator[None]:
    """Keep the latest packets of ToRs and borders for the time of the body; a data centre in memory has none."""
    devices = _devices(dc)
    if not devices:
        yield
        return
    path = dc.run_directory / _SOCKET
    path.unlink(missing_ok=True)
    size = max(_LEAST, min(_MOST, TOTAL // len(devices)))
    argv = [sys.executable, "-m", "vdc.host.packet_ring", str(path), str(dc.recorder.path), str(size)]
    with (dc.run_directory / _LOG).open("wb") as log:
        process = shell.start([*argv, *(f"{name}={netns}" for name, netns in devices.items())], output=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)
        (dc.run_directory / _LOG).unlink(missing_ok=True)


def captured(dc: DataCenter) -> Captured:
    """Return the packets that are kept now. Raises HostError: nobody keeps any, or who does gives no answer."""
    path, folder = dc.run_directory / _SOCKET, dc.run_directory / _FOLDER
    if not (dc.run_directory / _LOG).exists():
        raise HostError("nobody keeps packets of it: that is done while scenarios run")
    folder.mkdir(exist_ok=True)
    told = _told(path, folder)
    files = {}
    for file in sorted(folder.glob("*.pcapng")):
        files[file.name] = file.read_bytes()
        file.unlink()
    folder.rmdir()
    return Captured(files=files, told=told)


def _told(path: Path, folder: Path) -> Mapping[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as keeper:
        keeper.settimeout(_ANSWER)
        try:
            # it may have been started just now
            wait_for(partial(_connect, keeper, path), what="who keeps packets", timeout=_ANSWER)
            keeper.sendall(str(folder).encode())
            said = keeper.makefile("rb").readline()
        except (OSError, WaitTimeout) as error:
            raise HostError(f"who keeps packets gives no answer: {error}") from error
    if not said:
        raise HostError("who keeps packets could not write them", hint="packets.log of the run directory says why")
    told: Mapping[str, Any] = json.loads(said)
    return told


def _connect(keeper: socket.socket, path: Path) -> None:
    try:
        keeper.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotYet(str(error)) from error


def _devices(dc: DataCenter) -> dict[str, str]:
    """Return the ToRs and borders that are namespaces of this host, and their namespaces."""
    names = [router.name for tier in (Tier.BORDER, Tier.TOR) for router in dc.topology.tier(tier)]
    found = {name: f"vdc-{dc.name}.{name}" for name in names}
    return {name: netns for name, netns in found.items() if identity(netns) is not None}
