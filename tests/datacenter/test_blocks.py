"""Disks disturbed from beneath: what is asked of QEMU whatever state it is in, without a QEMU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from vdc.errors import BuildError
from vdc.host.blocks import Block, write_pieces
from vdc.host.libvirtd import Connection
from vdc.host.write_log import SECTOR
from vdc.shell import find, run

needs_qemu = pytest.mark.skipif(find("qemu-io") is None, reason="qemu-io is not installed (package qemu-utils)")


@dataclass
class Monitor:
    """The part of libvirt that asks QEMU, and a QEMU that answers so."""

    now: str = "running"
    says: str = ""
    lines: list[object] = field(default_factory=list)

    def state(self, name: str) -> str:
        return self.now

    def suspend(self, name: str) -> None:
        self.now = "paused"

    def resume(self, name: str) -> None:
        self.now = "running"

    def monitor(self, name: str, command: str, arguments: Mapping[str, object]) -> Any:
        if self.now == "off":
            raise BuildError(f"domain:{name}", "domain is not running")
        self.lines.append(arguments["command-line"])
        return self.says


def block(monitor: Monitor, file: Path = Path("/x.qcow2")) -> Block:
    return Block(libvirt=cast(Connection, monitor), domain="x", target="vdb", file=file, format="qcow2")


@pytest.mark.parametrize("state", ["running", "paused", "crashed", "off"])
def test_a_guest_stands_still_and_is_as_before(state: str) -> None:
    monitor = Monitor(now=state)
    with block(monitor).still():
        assert monitor.now == ("paused" if state == "running" else state)
    assert monitor.now == state
    assert len(monitor.lines) == (state != "off")


def test_what_is_written_beneath_a_guest_is_flushed(tmp_path: Path) -> None:
    monitor = Monitor()
    block(monitor).write({3: bytes(SECTOR)}, tmp_path / "pieces")
    assert [" 1536 512" in str(line) for line in monitor.lines] == [True, False]
    assert "flush" in str(monitor.lines[-1])


def test_what_qemu_does_not_even_try_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="Device 'x' not found"):
        block(Monitor(says="Error: Device 'x' not found\r\n")).write({3: bytes(SECTOR)}, tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()


@needs_qemu
def test_who_was_killed_while_writing_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    file, scratch = tmp_path / "x.raw", tmp_path / "pieces"
    run(["qemu-img", "create", "-q", "-f", "raw", str(file), "1M"], timeout=30)
    scratch.mkdir()
    (scratch / "9").write_bytes(b"half")
    write_pieces(file, "raw", {2: b"x" * SECTOR}, scratch)
    assert not scratch.exists()
    with file.open("rb") as content:
        assert content.read(4 * SECTOR) == bytes(2 * SECTOR) + b"x" * SECTOR + bytes(SECTOR)
