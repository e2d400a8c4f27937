"""What a guest wakes with, and the memory of a process that is really there: this one."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.datacenter.conftest import address_of
from vdc.errors import BuildError
from vdc.host.freezer import _copy_memory, waking
from vdc.plan.plan import Plan
from vdc.plan.resources import Domain

SIZE = 6 << 20
QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


def test_memory_is_copied_with_holes_where_it_is_zero(tmp_path: Path) -> None:
    with mmap.mmap(-1, SIZE) as memory:
        for offset in (0, 4 << 20, SIZE - 1):  # the first, one after a read, the last
            memory[offset] = 7
        _copy_memory(os.getpid(), address_of(memory), SIZE, tmp_path / "ram")
        assert (tmp_path / "ram").read_bytes() == memory[:]
    assert 0 < (tmp_path / "ram").stat().st_blocks * 512 < 1 << 20


def test_memory_of_nothing_but_zeros_takes_no_disk(tmp_path: Path) -> None:
    with mmap.mmap(-1, SIZE) as memory:
        _copy_memory(os.getpid(), address_of(memory), SIZE, tmp_path / "ram")
    assert (tmp_path / "ram").stat().st_size == SIZE
    assert (tmp_path / "ram").stat().st_blocks == 0


def test_memory_that_ends_before_its_size_is_an_error_and_not_zeros(tmp_path: Path) -> None:
    """So it is when QEMU dies while it is read: the rest would be a hole, and the digest of that would be right."""
    with mmap.mmap(-1, 2 * mmap.PAGESIZE) as memory:
        memory.resize(mmap.PAGESIZE)
        with pytest.raises(BuildError, match=f"ends at {mmap.PAGESIZE} of {2 * mmap.PAGESIZE} bytes"):
            _copy_memory(os.getpid(), address_of(memory), 2 * mmap.PAGESIZE, tmp_path / "ram")


def test_a_process_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        _copy_memory(1 << 23, 0, SIZE, tmp_path / "ram")


def test_a_guest_wakes_with_the_file_as_its_private_memory_and_everything_else_as_it_was(
    plan: Plan, tmp_path: Path
) -> None:
    with (tmp_path / "x.ram").open("wb") as file:
        file.truncate(SIZE)
    domain = plan.resource("domain:rack0-cs0")
    assert isinstance(domain, Domain)
    asleep = ET.fromstring(domain.xml)
    woken = ET.fromstring(waking(domain.xml, tmp_path / "x.ram"))
    command = woken.find(f"{QEMU}commandline")
    assert command is not None
    assert [each.get("value") for each in command.findall(f"{QEMU}arg")] == [
        *("-object", f"memory-backend-file,id=frozen,size={SIZE},mem-path={tmp_path}/x.ram,share=off"),
        *("-machine", "memory-backend=frozen"),
        *("-global", "migration.send-configuration=off"),
        *("-incoming", "defer"),
    ]
    woken.remove(command)
    assert ET.canonicalize(ET.tostring(woken), strip_text=True) == ET.canonicalize(ET.tostring(asleep), strip_text=True)


def test_each_that_wakes_has_a_generation_id_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.ram").touch()
    xml = waking("<domain><genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid></domain>", tmp_path / "x.ram")
    assert "43dc0cf8" not in xml
    assert "<genid" in xml
