"""What a disk is an overlay on, and copies of disks that depend on nothing but images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datacenter.conftest import make_overlay
from vdc.host import disks
from vdc.shell import find, run

needs_qemu = pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")

SIZE = 4 << 20


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder of images."""
    return tmp_path / "images"


@pytest.fixture
def image(base: Path) -> Path:
    """A raw image with something on it."""
    path = base / "i" / "root.img"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"image".ljust(SIZE, b"\0"))
    return path


def write(disk: Path, text: str, offset: int) -> None:
    run(["qemu-io", "-f", "qcow2", "-c", f"write -P {ord(text)} {offset} 512", str(disk)], timeout=30)


def content(disk: Path, tmp_path: Path) -> bytes:
    run(["qemu-img", "convert", "-O", "raw", str(disk), str(tmp_path / "raw")], timeout=30)
    return (tmp_path / "raw").read_bytes()


def test_the_disk_below_an_overlay_is_found(tmp_path: Path) -> None:
    below = tmp_path / "näh" / "root.img"
    assert disks.backing(make_overlay(tmp_path / "x.qcow2", below)) == below


@pytest.mark.parametrize("head", [b"", b"QFI\xfb", b"a raw disk, longer than the head of the other kind", bytes(512)])
def test_what_is_no_overlay_is_on_nothing(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x.qcow2").write_bytes(head)
    assert disks.backing(tmp_path / "x.qcow2") is None


@needs_qemu
def test_what_qemu_makes_is_read_alike(tmp_path: Path, image: Path) -> None:
    disks.create_overlay_on(tmp_path / "x.qcow2", image, "raw")
    disks.create_blank(tmp_path / "blank.qcow2", SIZE)
    assert disks.backing(tmp_path / "x.qcow2") == image
    assert disks.backing(tmp_path / "blank.qcow2") is None


def test_a_copy_of_what_is_on_an_image_is_the_same_file(tmp_path: Path, base: Path, image: Path) -> None:
    source = make_overlay(tmp_path / "x.qcow2", image)
    disks.copy(source, tmp_path / "copy.qcow2", base=base)
    assert (tmp_path / "copy.qcow2").read_bytes() == source.read_bytes()


def test_a_copy_of_what_is_on_nothing_is_the_same_file_with_holes(tmp_path: Path, base: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"config".ljust(SIZE, b"\0"))
    disks.copy(tmp_path / "x.tar", tmp_path / "copy.tar", base=base)
    assert (tmp_path / "copy.tar").read_bytes() == (tmp_path / "x.tar").read_bytes()
    assert (tmp_path / "copy.tar").stat().st_blocks * 512 < SIZE


@needs_qemu
def test_a_copy_of_what_is_on_a_checkpoint_has_it_all_but_the_image(tmp_path: Path, base: Path, image: Path) -> None:
    saved, source, copied = (tmp_path / f"{name}.qcow2" for name in ("saved", "x", "copy"))
    disks.create_overlay_on(saved, image, "raw")
    write(saved, "s", 1 << 20)
    disks.create_overlay_on(source, saved, "qcow2")
    write(source, "x", 2 << 20)
    expected = content(source, tmp_path)
    disks.copy(source, copied, base=base)
    assert disks.backing(copied) == image
    saved.unlink()
    source.unlink()
    assert content(copied, tmp_path) == expected
    assert (expected[:5], expected[1 << 20], expected[2 << 20]) == (b"image", ord("s"), ord("x"))


@needs_qemu
def test_a_copy_of_a_data_disk_that_is_on_a_checkpoint_is_on_nothing(tmp_path: Path, base: Path) -> None:
    saved, source, copied = (tmp_path / f"{name}.qcow2" for name in ("saved", "x", "copy"))
    disks.create_blank(saved, SIZE)
    write(saved, "s", 1 << 20)
    disks.create_overlay_on(source, saved, "qcow2")
    disks.copy(source, copied, base=base)
    assert disks.backing(copied) is None
    assert content(copied, tmp_path)[1 << 20] == ord("s")
