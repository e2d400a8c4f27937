"""Disks disturbed from beneath: a real QEMU whose guest never starts, and whose disk this test reads and writes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from vdc.errors import BuildError
from vdc.host import processes
from vdc.host.blocks import Block, of_faults, write_pieces
from vdc.host.libvirtd import Connection
from vdc.host.write_log import SECTOR, after_power_loss, extents, parse, unflushed
from vdc.shell import run, start
from vdc.wait import NotYet, wait_for

SIZE = 64 << 20
DEVICE = "/machine/peripheral/virtio-disk1/virtio-backend"


class Emulator:
    """A QEMU with one disk as libvirt makes it, and the part of libvirt that asks it."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "data.qcow2"
        self.output = folder / "output"
        self.off = False
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(self.image), str(SIZE)], timeout=30)
        path = folder / "qmp"
        with self.output.open("wb") as output:
            self.process = start(self._argv(path), output=output)
        self._socket = wait_for(lambda: _connected(path), what="QEMU", timeout=30)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        json.loads(self._lines.readline())
        self.monitor("", "qmp_capabilities", {})

    def _argv(self, path: Path) -> list[str]:
        storage = {"driver": "file", "filename": str(self.image), "node-name": "libvirt-2-storage"}
        node = {"driver": "qcow2", "node-name": "libvirt-2-format", "file": "libvirt-2-storage", "backing": None}
        device = {"driver": "virtio-blk-pci", "drive": "libvirt-2-format", "id": "virtio-disk1", "write-cache": "on"}
        argv = ["qemu-system-x86_64", "-S", "-nodefaults", "-nographic", "-accel", "tcg", "-m", "16", "-machine", "q35"]
        argv += ["-blockdev", json.dumps(storage), "-blockdev", json.dumps(node), "-device", json.dumps(device)]
        return [*argv, "-qmp", f"unix:{path},server=on,wait=off"]

    def state(self, name: str) -> str:
        return "off" if self.off else "paused"

    def monitor(self, name: str, command: str, arguments: Mapping[str, object], *, files: Sequence[int] = ()) -> Any:
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        while "event" in (answer := json.loads(self._lines.readline())):
            pass
        if "error" in answer:
            raise BuildError("qemu", answer["error"]["desc"])
        return answer["return"]

    def io(self, command: str) -> str:
        """Let the device read or write, and return what it says."""
        before = self.output.stat().st_size
        self.monitor("", "human-monitor-command", {"command-line": f'qemu-io -d {DEVICE} "{command}"'})
        return self.output.read_text()[before:]

    def nodes(self) -> set[str]:
        return {node["node-name"] for node in self.monitor("", "query-named-block-nodes", {})}

    def kill(self) -> None:
        processes.end([self.process.pid])
        self.process.wait()
        self.off = True


def _connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(str(path))
    except OSError as error:
        client.close()
        raise NotYet(str(error)) from error
    return client


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path)
    yield made
    made.kill()
    made._lines.close()
    made._socket.close()


@pytest.fixture
def block(qemu: Emulator) -> Block:
    return Block(libvirt=cast(Connection, qemu), domain="x", target="vdb", file=qemu.image, format="qcow2")


@pytest.mark.parametrize(
    ("kind", "command"), [("read", "read 0 4k"), ("write", "write 0 4k"), ("flush", "write -f 0 4k")]
)
def test_only_what_shall_fail_fails_and_nothing_is_left(qemu: Emulator, block: Block, kind: str, command: str) -> None:
    before = qemu.nodes()
    block.fail("k1", [kind])
    assert block.layers() == ("k1",)
    said = {each: qemu.io(each) for each in ("read 0 4k", "write 0 4k", "write -f 0 4k")}
    failed = {each for each, text in said.items() if "Input/output error" in text}
    assert failed == ({command} if kind != "write" else {"write 0 4k", "write -f 0 4k"})
    block.remove("k1")
    block.remove("k1")
    assert "error" not in qemu.io(command)
    assert block.layers() == ()
    assert qemu.nodes() == before


def test_a_throttle_is_there_and_gone_with_its_group(qemu: Emulator, block: Block) -> None:
    block.slow("k1", 10)
    assert block.layers() == ("k1",)
    assert of_faults(block.libvirt, "x") == ("vdc-fault-k1", "vdc-fault-k1-limit")
    limits = qemu.monitor("", "qom-get", {"path": "/objects/vdc-fault-k1-limit", "property": "limits"})
    assert limits["iops-total"] == 10
    block.remove("k1")
    assert block.layers() == ()
    assert of_faults(block.libvirt, "x") == ()
    with pytest.raises(BuildError):
        qemu.monitor("", "qom-get", {"path": "/objects/vdc-fault-k1-limit", "property": "limits"})


def test_what_qemu_refuses_leaves_nothing(qemu: Emulator, block: Block) -> None:
    before = qemu.nodes()
    with pytest.raises(BuildError):
        block.fail("k1", ["nonsense"])
    assert qemu.nodes() == before


def test_damage_is_one_bit_and_is_put_right(qemu: Emulator, block: Block, tmp_path: Path) -> None:
    qemu.io("write -P 0x55 0 4k")
    qemu.io("flush")
    was = block.read(3)
    assert was == b"\x55" * SECTOR
    block.write({3: b"\x54" + was[1:]}, tmp_path / "pieces")
    qemu.io("flush")
    assert block.read(3) == b"\x54" + was[1:]
    assert "Pattern verification failed" in qemu.io("read -P 0x55 0 4k")
    block.write({3: was}, tmp_path / "pieces")
    assert "Pattern verification failed" not in qemu.io("read -P 0x55 0 4k")
    assert not (tmp_path / "pieces").exists()


def test_what_was_not_flushed_is_lost_or_torn_and_what_was_is_there(
    qemu: Emulator, block: Block, tmp_path: Path
) -> None:
    log, overlay = tmp_path / "log", tmp_path / "overlay"
    qemu.io("write -P 0x11 0 64k")
    block.hold_back("k1", overlay, log)
    qemu.io("write -P 0x22 0 8k")
    qemu.io("flush")
    assert unflushed(parse(log.read_bytes())) == 0
    for number in range(8):
        qemu.io(f"write -P 0x33 {4096 * number} 4k")
    assert unflushed(parse(log.read_bytes())) == 8
    assert "verification failed" not in qemu.io("read -P 0x33 0 32k")
    qemu.kill()
    outcome = after_power_loss(tuple(parse(log.read_bytes())), Random(3))
    write_pieces(qemu.image, "qcow2", dict(extents(outcome.sectors)), tmp_path / "pieces")
    run(["qemu-img", "check", "-q", str(qemu.image)], timeout=30)
    run(["qemu-img", "convert", "-O", "raw", str(qemu.image), str(tmp_path / "raw")], timeout=30)
    with (tmp_path / "raw").open("rb") as file:
        found = file.read(64 << 10)
    assert (outcome.kept, outcome.unflushed) == (1, 8)
    assert outcome.lost > 0
    assert outcome.torn > 0
    pieces = [found[4096 * number : 4096 * (number + 1)] for number in range(8)]
    assert sum(1 for each in pieces if 0x33 not in each) == outcome.lost
    assert sum(1 for each in pieces if len(set(each)) == 2) == outcome.torn
    assert set(b"".join(pieces[:2])) <= {0x22, 0x33}, "what was flushed is gone"
    assert set(b"".join(pieces[2:])) <= {0x11, 0x33}
    assert set(found[32768:]) == {0x11}


def test_zeros_that_a_guest_writes_are_written_too(qemu: Emulator, block: Block, tmp_path: Path) -> None:
    log, overlay = tmp_path / "log", tmp_path / "overlay"
    qemu.io("write -P 0x11 0 128k")
    block.hold_back("k1", overlay, log)
    qemu.io("write -z 64k 64k")
    qemu.io("discard 0 4k")
    qemu.io("write -f -P 0x44 4k 512")
    entries = tuple(parse(log.read_bytes()))
    assert unflushed(entries) <= 1
    outcome = after_power_loss((*entries, *parse(b"")), Random(1))
    assert outcome.sectors[8] == b"\x44" * SECTOR
    assert log.stat().st_size > 64 << 10
