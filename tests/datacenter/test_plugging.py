"""The disk of a release in a running guest: one at a time, and gone when it was pulled out."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from vdc.errors import BuildError, WaitTimeout
from vdc.host import plugging
from vdc.host.libvirtd import Connection

OLD, NEW = Path("/cache/old/root.img"), Path("/cache/new/root.img")


class Guest:
    """A domain that lets go of a disk when it was asked so often."""

    def __init__(self, *, reluctant: int = 0) -> None:
        self.disks: list[str] = []
        self.plugged: list[ET.Element] = []
        self._reluctant = reluctant

    def disk_file(self, _name: str, _target: str) -> str | None:
        return self.disks[0] if self.disks else None

    def plug(self, _name: str, xml: str) -> None:
        disk = ET.fromstring(xml)
        self.plugged.append(disk)
        source = disk.find("source")
        assert source is not None
        self.disks.append(source.attrib["file"])

    def unplug(self, _name: str, _target: str) -> None:
        self._reluctant -= 1
        if self._reluctant >= 0:
            raise BuildError("domain:x", "already in the process of unplug")
        self.disks.clear()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no longer than a moment."""
    monkeypatch.setattr(plugging, "_SECONDS", 0.2)


def connection(guest: Guest) -> Connection:
    return cast(Connection, guest)


def test_a_disk_is_plugged_in_to_be_read_and_shared() -> None:
    guest = Guest()
    plugging.plug(connection(guest), "x", NEW, slowness=1.0)
    (disk,) = guest.plugged
    assert disk.find("readonly") is not None
    assert disk.find("shareable") is not None
    assert disk.findtext("serial") == plugging.SERIAL
    assert plugging.plugged(connection(guest), "x") == (f"disk {NEW} plugged in",)
    plugging.plug(connection(guest), "x", NEW, slowness=1.0)
    assert len(guest.plugged) == 1, "it was there"


def test_another_one_takes_the_place_of_what_somebody_left() -> None:
    guest = Guest()
    plugging.plug(connection(guest), "x", OLD, slowness=1.0)
    plugging.plug(connection(guest), "x", NEW, slowness=1.0)
    assert guest.disks == [str(NEW)]


def test_it_is_pulled_out_until_the_guest_has_let_it_go() -> None:
    guest = Guest(reluctant=1)
    plugging.plug(connection(guest), "x", NEW, slowness=1.0)
    plugging.unplug(connection(guest), "x", slowness=1.0)
    assert plugging.plugged(connection(guest), "x") == ()
    plugging.unplug(connection(guest), "x", slowness=1.0)


@pytest.mark.usefixtures("quick")
def test_a_guest_that_never_lets_go_is_told() -> None:
    guest = Guest(reluctant=1000)
    plugging.plug(connection(guest), "x", NEW, slowness=1.0)
    with pytest.raises(WaitTimeout, match="x to let go of the disk of a release"):
        plugging.unplug(connection(guest), "x", slowness=1.0)
