"""The root disk of a release, plugged into a running guest to be read: a slot of its PCIe bus is free for it.

It is of the running guest alone: it is not there any more when that is started from cold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from vdc.errors import BuildError
from vdc.host.libvirtd import Connection
from vdc.wait import NotYet, wait_for

SERIAL: Final = "release"
"""The serial number by which the guest knows it."""

_TARGET: Final = "vdy"
_SECONDS: Final = 60.0


def plug(libvirt: Connection, domain: str, file: Path, *, slowness: float) -> None:
    """Plug a raw disk in, in the place of another that is still there. Raises BuildError; WaitTimeout: that stays."""
    there = libvirt.disk_file(domain, _TARGET)
    if there == str(file):
        return
    if there is not None:
        unplug(libvirt, domain, slowness=slowness)
    libvirt.plug(domain, _xml(file))


def unplug(libvirt: Connection, domain: str, *, slowness: float) -> None:
    """Pull it out and wait until the guest has let it go; if there is none that is fine. Raises WaitTimeout."""

    def gone() -> None:
        if libvirt.disk_file(domain, _TARGET) is not None:
            try:
                libvirt.unplug(domain, _TARGET)
            except BuildError as error:  # it was asked before, and the guest is at it
                raise NotYet(str(error)) from error
            raise NotYet("the guest was asked to let it go")

    timeout = _SECONDS * max(1.0, slowness)
    wait_for(gone, what=f"{domain} to let go of the disk of a release", timeout=timeout, interval=0.5)


def plugged(libvirt: Connection, domain: str) -> tuple[str, ...]:
    """Return the disk that is plugged in, if any: nobody needs it but who upgrades."""
    return () if (file := libvirt.disk_file(domain, _TARGET)) is None else (f"disk {file} plugged in",)


def _xml(file: Path) -> str:
    disk = ET.Element("disk", type="file", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="raw", cache="writeback")
    ET.SubElement(disk, "source", file=str(file))
    ET.SubElement(disk, "target", dev=_TARGET, bus="virtio")
    ET.SubElement(disk, "readonly")
    ET.SubElement(disk, "shareable")
    ET.SubElement(disk, "serial").text = SERIAL
    return ET.tostring(disk, encoding="unicode")
