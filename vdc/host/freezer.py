"""Freezing a guest to two files, and waking guests from them: any number of guests from the same files.

The memory of a guest that stands still is copied out of its QEMU process as it is, into a sparse file; its devices
are written by QEMU. A guest wakes with that file mapped privately as its memory: nothing is read before it is used,
and guests that wake from one file share what none of them has changed.

QEMU loads devices without memory only as an incoming migration in which all memory is "already there". Its save
command for that has Xen's name, but nothing of Xen in it (QEMU QMP Reference Manual, `xen-save-devices-state`). What
QEMU keeps in other memory than the guest's is not in these files: so the firmware must be in flash, which QEMU fills
from its file, and not in a ROM, which it expects to come with a migration.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from vdc.errors import BuildError
from vdc.host.libvirtd import Connection
from vdc.wait import NotYet, wait_for

_LOAD_SECONDS: Final = 30.0
_READ: Final = 4 << 20
_PIECE: Final = 64 << 10
_QEMU: Final = "http://libvirt.org/schemas/domain/qemu/1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The files of a frozen guest: its memory, sparse, and its devices as QEMU wrote them."""

    memory: Path
    devices: Path


def freeze(libvirt: Connection, name: str, pid: int, frozen: Frozen) -> None:
    """Write the memory and the devices of a guest that stands still and has the process `pid`; it stays as it is.

    Raises:
        BuildError: QEMU refuses, or died.
        OSError: the files could not be written.
    """
    libvirt.monitor(name, "xen-save-devices-state", {"filename": str(frozen.devices), "live": False})
    said = libvirt.monitor(name, "human-monitor-command", {"command-line": "gpa2hva 0"})
    _copy_memory(pid, int(said.split()[-1], 16), libvirt.memory(name), frozen.memory)


def wake(libvirt: Connection, name: str, xml: str, frozen: Frozen) -> None:
    """Start the domain of `xml` from a frozen guest; it stands still.

    Raises BuildError: QEMU could not load it.
    """
    libvirt.start_paused(waking(xml, frozen.memory))
    with frozen.devices.open("rb") as devices:
        libvirt.monitor(name, "getfd", {"fdname": "devices"}, files=[devices.fileno()])
        libvirt.monitor(name, "migrate-incoming", {"uri": "fd:devices"})

    def loaded() -> None:
        status = libvirt.monitor(name, "query-migrate", {}).get("status")
        if status == "failed":
            raise BuildError(f"domain:{name}", "QEMU cannot load its devices")
        if status != "completed":
            raise NotYet(f"loading is {status}")

    wait_for(loaded, what=f"{name} to wake", timeout=_LOAD_SECONDS, interval=0.005)


def waking(xml: str, memory: Path) -> str:
    """Return domain XML with which QEMU has the file `memory` as its memory, and waits for its devices.

    It has another VM generation ID (libvirt makes one), so a kernel that looks for it knows that it is a clone.
    """
    ET.register_namespace("qemu", _QEMU)
    root = ET.fromstring(xml)  # noqa: S314 - our own, or libvirt's answer
    for identity in root.findall("genid"):
        identity.text = None
    backend = f"memory-backend-file,id=frozen,size={memory.stat().st_size},mem-path={memory},share=off"
    command = ET.SubElement(root, f"{{{_QEMU}}}commandline")
    for argument in (
        *("-object", backend),
        *("-machine", "memory-backend=frozen"),
        *("-global", "migration.send-configuration=off"),
        *("-incoming", "defer"),
    ):
        ET.SubElement(command, f"{{{_QEMU}}}arg", value=argument)
    return ET.tostring(root, encoding="unicode")


def _copy_memory(pid: int, address: int, size: int, target: Path) -> None:
    """Copy memory of a process to a file that has holes where the memory is zero (proc(5), /proc/PID/mem)."""
    zeros = bytes(_PIECE)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory, target.open("wb", buffering=0) as file:
        file.truncate(size)
        for start in range(0, size, _READ):
            wanted = min(_READ, size - start)
            data = os.pread(memory.fileno(), wanted, address + start)
            if len(data) < wanted:  # so it is when the process is gone
                raise BuildError(f"process {pid}", f"its memory ends at {start + len(data)} of {size} bytes")
            for offset in range(0, len(data), _PIECE):
                piece = data[offset : offset + _PIECE]
                if piece != zeros[: len(piece)]:
                    os.pwrite(file.fileno(), piece, start + offset)
