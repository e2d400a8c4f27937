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
from collections.abc import Iterator, Sequence
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

_HOLE_END: Final = 4 << 30
_LOW_MEMORY: Final = ((0xB0000000, 0x80000000), (0, 0xB0000000))
"""Where the memory below the hole of a q35 machine ends, by how much it has at least (QEMU, hw/i386/pc_q35.c)."""


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
    nodes = numa_nodes(libvirt.xml(name))
    if not nodes:
        _copy_memory(pid, _address(libvirt, name, 0), libvirt.memory(name), frozen.memory)
        return
    with frozen.memory.open("wb", buffering=0) as file:
        for start, guest, size in pieces(nodes):
            _copy_piece(pid, _address(libvirt, name, guest), size, file.fileno(), start)
        file.truncate(sum(nodes))


def wake(libvirt: Connection, name: str, xml: str, frozen: Frozen, process_file: Path) -> None:
    """Start the domain of `xml` from a frozen guest; it stands still. libvirt writes its process id to `process_file`.

    Raises BuildError: QEMU could not load it.
    """
    libvirt.start_paused(waking(xml, frozen.memory))
    if nodes := numa_nodes(xml):
        pid = int(process_file.read_text(encoding="utf-8"))
        with frozen.memory.open("rb", buffering=0) as file:
            for start, guest, size in pieces(nodes):
                _fill_piece(pid, _address(libvirt, name, guest), size, file.fileno(), start)
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
    mapped = () if numa_nodes(xml) else ("-object", backend, "-machine", "memory-backend=frozen")
    command = root.find(f"{{{_QEMU}}}commandline")
    if command is None:
        command = ET.SubElement(root, f"{{{_QEMU}}}commandline")
    for argument in (*mapped, "-global", "migration.send-configuration=off", "-incoming", "defer"):
        ET.SubElement(command, f"{{{_QEMU}}}arg", value=argument)
    return ET.tostring(root, encoding="unicode")


def numa_nodes(xml: str) -> tuple[int, ...]:
    """Return the bytes of memory that each NUMA node of a domain has; none if there are none."""
    cells = ET.fromstring(xml).findall("cpu/numa/cell")  # noqa: S314 - our own, or libvirt's answer
    units = {"b": 1, "KiB": 1 << 10}  # what we write, and what libvirt answers
    return tuple(int(cell.attrib["memory"]) * units[cell.get("unit", "KiB")] for cell in cells)


def pieces(nodes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield for each piece of the memory of NUMA nodes where it starts, its address for the guest, and its size.

    The memory of one node follows that of the one before, but for a hole below 4 GiB.
    """
    low = next(low for least, low in _LOW_MEMORY if sum(nodes) >= least)
    start = 0
    for node in nodes:
        end = start + node
        if start < low:
            yield start, start, min(end, low) - start
        if end > low:
            above = max(start, low)
            yield above, _HOLE_END + above - low, end - above
        start = end


def _address(libvirt: Connection, name: str, guest: int) -> int:
    """Return where QEMU has the memory that is at the address `guest` for a guest."""
    said = libvirt.monitor(name, "human-monitor-command", {"command-line": f"gpa2hva {guest}"})
    return int(said.split()[-1], 16)


def _copy_memory(pid: int, address: int, size: int, target: Path) -> None:
    """Copy memory of a process to a file that has holes where the memory is zero."""
    with target.open("wb", buffering=0) as file:
        file.truncate(size)
        _copy_piece(pid, address, size, file.fileno(), 0)


def _copy_piece(pid: int, address: int, size: int, file: int, start: int) -> None:
    """Copy memory of a process into an open file from `start` on, but what is zero (proc(5), /proc/PID/mem)."""
    zeros = bytes(_PIECE)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for done in range(0, size, _READ):
            wanted = min(_READ, size - done)
            data = os.pread(memory.fileno(), wanted, address + done)
            if len(data) < wanted:  # so it is when the process is gone
                raise BuildError(f"process {pid}", f"its memory ends at {done + len(data)} of {size} bytes")
            for offset in range(0, len(data), _PIECE):
                piece = data[offset : offset + _PIECE]
                if piece != zeros[: len(piece)]:
                    os.pwrite(file, piece, start + done + offset)


def _fill_piece(pid: int, address: int, size: int, file: int, start: int) -> None:
    """Write what a file has from `start` on into memory of a process that is all zero."""
    zeros = bytes(_PIECE)
    with Path(f"/proc/{pid}/mem").open("wb", buffering=0) as memory:
        for done in range(0, size, _PIECE):
            piece = os.pread(file, min(_PIECE, size - done), start + done)
            if piece != zeros[: len(piece)]:
                os.pwrite(memory.fileno(), piece, address + done)
