"""A disk of a server as the harness strikes it: what it asks the guest, and what it leaves for another process."""

from __future__ import annotations

import base64
import shlex
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.datacenter.disk import WHERE, LiveDisk
from vdc.datacenter.disks import Loss, Operation, Trial
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.sectors import flipped, sectors_of
from vdc.errors import BuildError, CommandError, InputError, WaitTimeout
from vdc.host.blocks import Block
from vdc.host.write_log import SECTOR, Entry
from vdc.model.hardware import Volume
from vdc.shell import Completed, find, run, start
from vdc.wait import NotYet

needs_qemu = pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")
SIZE = 4 << 20
FILEFRAG = """\
Filesystem type is: ef53
File size of /data/x is 100000 (25 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..       1:         10..        11:      2:
   1:        2..       2:         20..        20:      1:         12:
   2:        3..      24:         30..        51:     22:         21: last,unwritten,eof
/data/x: 3 extents found
"""
DD = "16+0 records in\n16+0 records out\n65536 bytes (66 kB, 64 KiB) copied, 0.0125 s, 5.2 MB/s\n"


@dataclass
class Stone:
    """What is beneath the disk: sectors, and what was asked for."""

    sectors: dict[int, bytes] = field(default_factory=dict)
    told: list[object] = field(default_factory=list)
    keys: tuple[str, ...] = ()
    runs: Callable[[], bool] = lambda: True
    file: Path = Path("/disk")
    format: str = "qcow2"
    domain: str = "x"
    log: bytes = b""

    def layers(self) -> tuple[str, ...]:
        return self.keys

    def running(self) -> bool:
        return self.runs()

    def slow(self, *what: object) -> None:
        self.told.append(("slow", *what))

    def fail(self, *what: object) -> None:
        self.told.append(("fail", *what))

    def pull(self) -> None:
        self.told.append("pull")

    def remove(self, key: str) -> None:
        self.told.append(("remove", key))

    def hold_back(self, key: str, overlay: Path, log: Path) -> None:
        self.told.append(("hold back", key))
        self.keys = (key,)
        overlay.touch()
        log.write_bytes(self.log)

    @contextmanager
    def still(self) -> Iterator[None]:
        yield

    def read(self, sector: int) -> bytes:
        return self.sectors.get(sector, bytes(SECTOR))

    def write(self, pieces: Mapping[int, bytes], scratch: Path) -> None:
        assert not scratch.exists()
        self.sectors |= pieces


@dataclass
class Guest:
    """A guest that has a file and reads the disk."""

    stone: Stone
    asked: list[str] = field(default_factory=list)
    says: Completed | Exception | None = None

    def __call__(
        self, argv: list[str], *, timeout: float = 0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        assert argv == ["sh", "-s"]
        assert stdin is not None
        run(["sh", "-n"], stdin=stdin, timeout=10)
        self.asked.append(stdin)
        if isinstance(self.says, Exception):
            raise self.says
        if self.says is not None:
            return self.says
        out = ""
        if "filefrag" in stdin:
            out = FILEFRAG
        for line in stdin.splitlines():
            if "base64" in line:
                sector = int(line.partition("skip=")[2].split()[0])
                out += base64.b64encode(self.stone.read(sector)).decode() + "\n"
        return Completed(argv=("sh",), status=0, stdout=out, stderr=DD)


@pytest.fixture
def stone() -> Stone:
    return Stone()


@pytest.fixture
def guest(stone: Stone) -> Guest:
    return Guest(stone)


@pytest.fixture
def disk(stone: Stone, guest: Guest, tmp_path: Path) -> LiveDisk:
    return LiveDisk(
        name="data",
        serial="data",
        block=cast(Block, stone),
        why="",
        run=guest,
        folder=tmp_path / "struck",
        process_file=tmp_path / "pid",
        slowness=0.0,
    )


def left(disk: LiveDisk) -> list[str]:
    return sorted(path.name for path in disk.folder.iterdir()) if disk.folder.exists() else []


def test_a_file_has_the_sectors_that_were_written() -> None:
    assert sectors_of(FILEFRAG) == [*range(80, 96), *range(160, 168)]
    with pytest.raises(InputError, match="does not say where"):
        sectors_of("filefrag: no such file")


@given(st.binary(min_size=1, max_size=64), st.integers())
def test_one_bit_is_flipped(data: bytes, seed: int) -> None:
    changed = flipped(data, Random(seed))
    different = int.from_bytes(data, "big") ^ int.from_bytes(changed, "big")
    assert different.bit_count() == 1
    assert len(changed) == len(data)


@pytest.mark.parametrize("operation", Operation)
def test_a_trial_tells_how_long_it_took(disk: LiveDisk, guest: Guest, operation: Operation) -> None:
    assert disk.trial(operation, 16) == Trial(seconds=0.0125)
    assert "16" in guest.asked[-1]


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (Completed(argv=("sh",), status=1, stdout="", stderr=f"dd: error writing: Input/output error\n{DD}"), "dd: e"),
        (Completed(argv=("sh",), status=1, stdout="", stderr=DD), "it failed and says nothing"),
    ],
)
def test_a_trial_tells_what_the_guest_complained_of(disk: LiveDisk, guest: Guest, says: Completed, error: str) -> None:
    guest.says = says
    found = disk.trial(Operation.WRITE).error
    assert error in found
    assert "copied" not in found


SILENT = (
    WaitTimeout("`sh -s`", deadline=20, last="still running"),
    CommandError("x", ["sh"], 1, "the agent does not answer"),
)


@pytest.mark.parametrize("says", SILENT)
def test_a_guest_that_does_not_answer_says_nothing_of_its_disk(disk: LiveDisk, guest: Guest, says: Exception) -> None:
    guest.says = says
    with pytest.raises(NotYet, match="does not tell"):
        disk.trial(Operation.WRITE)


def test_a_disk_is_struck_where_the_guest_has_mounted_it_and_nothing_is_done_to_it(
    disk: LiveDisk, guest: Guest, stone: Stone
) -> None:
    assert disk.lacks() is None
    stone.keys = ("abc",)
    assert disk.lacks() == "something is done to its disk data already: abc"
    stone.keys = ()
    guest.says = CommandError("x", ["sh"], 1, "/dev/vdc is not mounted")
    assert "not mounted" in str(disk.lacks())
    none = replace(disk, block=None, why="it is on nvme")
    assert none.lacks() == "it is on nvme"
    assert none.layers() == ()
    with pytest.raises(InputError, match="nvme"):
        none.pull()


def test_what_is_struck_is_told_to_what_is_beneath(disk: LiveDisk, stone: Stone, guest: Guest) -> None:
    disk.slow("k", 5)
    disk.fail("k", [Operation.READ, Operation.FLUSH])
    disk.pull()
    disk.restore("k")
    assert stone.told == [("slow", "k", 5), ("fail", "k", ["read", "flush"]), "pull", ("remove", "k")]
    disk.fill()
    assert "fallocate" in guest.asked[-1]
    disk.empty()
    assert 'rm -f "$folder/.vdc-full"' in guest.asked[-1]
    disk.tidy("k")
    assert 'rm -f "$trial"' in guest.asked[-1]


def test_damage_is_put_right_by_another_process(disk: LiveDisk, stone: Stone) -> None:
    before = {sector: bytes([sector]) * SECTOR for sector in sectors_of(FILEFRAG)}
    stone.sectors = dict(before)
    disk.damage("k", "/data/x", 3, seed=5)
    changed = [each for each, data in stone.sectors.items() if data != before[each]]
    assert len(changed) == 3
    assert disk.damaged("k") == 3
    assert left(disk) == ["k.damage"]
    stone.sectors[changed[0]] = written = b"n" * SECTOR
    replace(disk).restore("k")
    assert stone.sectors == {**before, changed[0]: written}, "what was written since is lost, or damage is left"
    assert disk.damaged("k") == 0
    stone.sectors[changed[1]] = bytes(SECTOR)
    assert disk.damaged("k") == 0
    assert left(disk) == ["k.damage"]
    disk.tidy("k")
    assert left(disk) == []


def damaged(disk: LiveDisk, stone: Stone) -> Mapping[int, bytes]:
    stone.sectors = {sector: bytes([sector]) * SECTOR for sector in sectors_of(FILEFRAG)}
    disk.damage("k", "/data/x", 3, seed=5)
    return dict(stone.sectors)


def test_damage_that_comes_back_is_seen(disk: LiveDisk, stone: Stone) -> None:
    now = damaged(disk, stone)
    disk.restore("k")
    stone.sectors = dict(now)
    assert disk.damaged("k") == 3
    disk.restore("k")
    assert disk.damaged("k") == 0


def test_a_write_that_did_nothing_does_not_put_damage_right(
    disk: LiveDisk, stone: Stone, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(disk, stone)
    monkeypatch.setattr(stone, "write", lambda *_: None)
    with pytest.raises(BuildError, match="were written, and are damaged"):
        disk.restore("k")
    assert left(disk) == ["k.damage"]


def test_a_guest_keeps_no_damaged_page_that_it_could_write_back(
    disk: LiveDisk, stone: Stone, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(disk, stone)
    guest.asked.clear()
    before: list[str] = []
    monkeypatch.setattr(stone, "write", lambda *_: before.extend(guest.asked))
    with pytest.raises(BuildError):
        disk.restore("k")
    assert any("sync; echo 1 > /proc/sys/vm/drop_caches" in script for script in before)


@pytest.mark.parametrize("says", SILENT)
def test_damage_is_put_right_beneath_a_guest_that_does_not_answer(
    disk: LiveDisk, stone: Stone, guest: Guest, says: Exception
) -> None:
    damaged(disk, stone)
    guest.says = says
    disk.restore("k")
    guest.says = None
    assert disk.damaged("k") == 0


def test_only_a_file_of_the_disk_is_damaged(disk: LiveDisk, guest: Guest, tmp_path: Path) -> None:
    odd = "/data/it's; touch x"
    disk.damage("k", odd, 1, seed=5)
    assert shlex.quote(odd) in guest.asked[0]
    script = f"disk=/dev/x folder={tmp_path}\n" + WHERE.format(file="/proc/self/status")
    assert "/proc/self/status is not on /dev/x" in run(["sh", "-s"], stdin=script, timeout=10, check=False).stderr


def test_a_file_that_is_too_small_is_not_damaged(disk: LiveDisk) -> None:
    with pytest.raises(InputError, match="24 sectors on the disk, not 25"):
        disk.damage("k", "/data/x", 25, seed=5)
    assert left(disk) == []


def encoded(*entries: Entry) -> bytes:
    log = struct.pack("<QQQI", 0x6A736677736872, 1, 0, SECTOR).ljust(SECTOR, b"\0")
    for each in entries:
        head = struct.pack("<QQQQ", each.sector, len(each.data) // SECTOR, each.flush, 0)
        log += head.ljust(SECTOR, b"\0") + each.data
    return log


SAFE = Entry(sector=0, data=b"s" * SECTOR)
UNSAFE = [Entry(sector=number, data=b"u" * SECTOR) for number in range(1, 9)]


@pytest.fixture
def machine(stone: Stone, disk: LiveDisk, tmp_path: Path) -> Iterator[Stone]:
    """A process that is QEMU to all, with a real image."""
    stone.file = tmp_path / "data.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(stone.file), str(SIZE)], timeout=30)
    with (tmp_path / "output").open("wb") as output:
        process = start(["sleep", "1000"], output=output)
    disk.process_file.write_text(str(process.pid))
    stone.runs = lambda: process.poll() is None
    yield stone
    process.kill()
    process.wait()


def content(stone: Stone, tmp_path: Path) -> str:
    run(["qemu-img", "convert", "-O", "raw", str(stone.file), str(tmp_path / "raw")], timeout=30)
    with (tmp_path / "raw").open("rb") as file:
        return "".join(chr(byte or ord(".")) for byte in file.read(9 * SECTOR)[::SECTOR])


@needs_qemu
def test_a_power_cut_kills_and_keeps_what_was_flushed(disk: LiveDisk, machine: Stone, tmp_path: Path) -> None:
    machine.log = encoded(SAFE, Entry(flush=True), *UNSAFE)
    loss = disk.cut_power("k", 4)
    assert not machine.running()
    assert loss == Loss(kept=1, unflushed=8, lost=content(machine, tmp_path).count("."), torn=0)
    assert content(machine, tmp_path).startswith("s")
    assert left(disk) == []
    disk.restore("k")
    assert content(machine, tmp_path).count(".") == loss.lost


@needs_qemu
def test_a_guest_that_flushes_all_loses_its_power_and_nothing_else(
    disk: LiveDisk, machine: Stone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdc.datacenter.disk._UNFLUSHED_SECONDS", 0.05)
    machine.log = encoded(SAFE, *UNSAFE, Entry(flush=True))
    with pytest.raises(WaitTimeout, match="0 writes are not flushed"):
        disk.cut_power("k", 4)
    assert not machine.running()
    assert content(machine, tmp_path) == "suuuuuuuu"
    assert left(disk) == []


@needs_qemu
def test_who_dies_before_the_power_is_cut_leaves_all_to_whoever_heals(
    disk: LiveDisk, machine: Stone, tmp_path: Path
) -> None:
    machine.log = encoded(SAFE, Entry(flush=True), *UNSAFE)
    disk.folder.mkdir()
    machine.hold_back("k", disk.folder / "k.overlay", disk.folder / "k.writes")
    disk.restore("k")
    assert not machine.running()
    assert content(machine, tmp_path) == "suuuuuuuu"
    assert left(disk) == []


@needs_qemu
def test_what_was_held_back_is_not_written_beneath_a_guest_that_started_since(
    disk: LiveDisk, machine: Stone, tmp_path: Path
) -> None:
    machine.log = encoded(SAFE)
    disk.folder.mkdir()
    machine.hold_back("k", disk.folder / "k.overlay", disk.folder / "k.writes")
    machine.keys = ()
    with pytest.raises(BuildError, match="was started before"):
        disk.restore("k")
    assert content(machine, tmp_path) == "." * 9
    assert left(disk) == ["k.overlay", "k.writes"]


def test_who_dies_before_anything_is_held_back_leaves_nothing_to_settle(disk: LiveDisk, stone: Stone) -> None:
    disk.folder.mkdir()
    (disk.folder / "k.overlay").touch()
    disk.restore("k")
    assert left(disk) == []
    (disk.folder / "k.overlay").touch()
    (disk.folder / "k.writes").touch()
    disk.restore("k")
    assert stone.running()
    assert left(disk) == []


@pytest.fixture
def server(dc: LiveDataCenter) -> LiveMachine:
    made = dc.servers["rack0-cs0"]
    volumes = (
        Volume(name="fast", kind="empty", bus="nvme", size=1 << 20),
        Volume(name="share", kind="folder", source="/x"),
        Volume(name="more", kind="empty", size=1 << 20),
    )
    return replace(made, spec=replace(made.spec, hardware=replace(made.spec.hardware, volumes=volumes)))


def test_disks_are_known_by_their_names(server: LiveMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = server.disk("data")
    assert (found.serial, found.block and found.block.target) == ("data", "vdb")
    found = server.disk("more")
    assert (found.serial, found.block and found.block.target) == ("more", "vdd")
    assert server.disk("fast").lacks() == "disk fast is on nvme, and only virtio disks are struck"
    assert server.disk("root").lacks() == "what would find out is on its root disk"
    monkeypatch.setattr(LiveDisk, "_script", lambda *_, **__: None)
    assert server.disk("root").lacks_files() is None, "it is filled from inside"
    with pytest.raises(InputError, match="has no disk nothing") as caught:
        server.disk("nothing")
    assert caught.value.hint == "it has data, fast, share, more"


def test_a_guest_of_the_users_own_has_no_disk_that_can_be_struck(server: LiveMachine) -> None:
    with pytest.raises(InputError, match="the user's own"):
        replace(server, spec=replace(server.spec, image="theirs")).disk("data")
