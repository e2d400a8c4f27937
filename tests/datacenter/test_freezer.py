"""What a guest wakes with, and the memory of a process that is really there: this one."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.datacenter.conftest import address_of
from vdc.errors import BuildError
from vdc.host.freezer import _copy_memory, _fill_piece, numa_nodes, pieces, waking
from vdc.plan.plan import Plan
from vdc.plan.resources.processes import Domain

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


def domain_with_nodes(*cells: str) -> str:
    return f"<domain><cpu><numa>{''.join(cells)}</numa></cpu></domain>"


def test_the_memory_of_numa_nodes_is_read_as_we_and_as_libvirt_write_it() -> None:
    ours, libvirts = '<cell id="0" memory="1048576" unit="b"/>', '<cell id="1" memory="1024" unit="KiB"/>'
    assert numa_nodes(domain_with_nodes(ours, libvirts)) == (1 << 20, 1 << 20)
    assert numa_nodes("<domain><cpu/></domain>") == ()


def test_a_guest_with_numa_nodes_keeps_their_memory_and_is_filled_instead(tmp_path: Path) -> None:
    (tmp_path / "x.ram").touch()
    woken = ET.fromstring(waking(domain_with_nodes('<cell id="0" memory="1" unit="KiB"/>'), tmp_path / "x.ram"))
    arguments = [each.get("value") for each in woken.iter(f"{QEMU}arg")]
    assert arguments == ["-global", "migration.send-configuration=off", "-incoming", "defer"]


def test_what_a_domain_tells_qemu_already_stays(tmp_path: Path) -> None:
    (tmp_path / "x.ram").touch()
    told = f"<domain xmlns:q='{QEMU[1:-1]}'><q:commandline><q:arg value='-drive'/></q:commandline></domain>"
    woken = ET.fromstring(waking(told, tmp_path / "x.ram"))
    assert len(woken.findall(f"{QEMU}commandline")) == 1
    values = [each.get("value") for each in woken.iter(f"{QEMU}arg")]
    assert values[0] == "-drive"
    assert values[-1] == "defer"


MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([GIB, GIB], [(0, 0, GIB), (GIB, GIB, GIB)]),
        # less than 2.75 GiB of memory end below the hole
        ([2815 * MIB], [(0, 0, 2815 * MIB)]),
        # of more, 2 GiB are below it, and the rest is above 4 GiB
        ([2816 * MIB], [(0, 0, 2 * GIB), (2 * GIB, 4 * GIB, 768 * MIB)]),
        ([2 * GIB, 2 * GIB], [(0, 0, 2 * GIB), (2 * GIB, 4 * GIB, 2 * GIB)]),
        (
            [3 * GIB, 3 * GIB],
            [(0, 0, 2 * GIB), (2 * GIB, 4 * GIB, GIB), (3 * GIB, 5 * GIB, 3 * GIB)],
        ),
    ],
)
def test_pieces_of_memory_are_where_the_machine_has_them(
    nodes: list[int], expected: list[tuple[int, int, int]]
) -> None:
    assert list(pieces(nodes)) == expected


def test_a_piece_is_written_into_the_memory_of_a_process(tmp_path: Path) -> None:
    with mmap.mmap(-1, SIZE) as memory, (tmp_path / "ram").open("w+b") as file:
        file.truncate(2 * SIZE)
        for offset in (0, 3 << 20, SIZE - 1):
            os.pwrite(file.fileno(), b"x", SIZE + offset)
        _fill_piece(os.getpid(), address_of(memory), SIZE, file.fileno(), SIZE)
        assert [offset for offset in (0, 3 << 20, SIZE - 1) if memory[offset] != ord("x")] == []
        assert memory[:].count(b"x") == 3
