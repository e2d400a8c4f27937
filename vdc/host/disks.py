"""Disks of servers: overlays on release images, data disks, config disks."""

from __future__ import annotations

import io
import os
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

from vdc.errors import BuildError
from vdc.plan.resources.disks import ConfigDisk, DataDisk, Overlay
from vdc.shell import run

CONFIG_SIZE = 256 << 10
"""The bytes of every config disk: a guest that wakes as another server cannot learn that a disk has another size."""

_MAGIC = b"QFI\xfb"
_HEAD = struct.Struct(">4sIQI")  # magic, version, and where the name of the disk below is and how long
_SECONDS = 60.0
_COPY_SECONDS = 600.0


def create_overlay(overlay: Overlay) -> None:
    """Create an empty qcow2 overlay on its image; one that is there is replaced: that is what reimaging is."""
    backing = Path(overlay.backing)
    create_overlay_on(Path(overlay.path), backing, image_format(backing))


def create_overlay_on(path: Path, backing: Path, backing_format: str) -> None:
    """Create an empty qcow2 overlay on a disk, replacing what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", str(backing), str(path)],
        timeout=_SECONDS,
    )


def image_format(image: Path) -> str:
    """Return the format of an image: `qcow2` if it begins as one, else `raw`."""
    with image.open("rb") as file:
        return "qcow2" if file.read(4) == _MAGIC else "raw"


def create_data_disk(disk: DataDisk) -> None:
    """Create a sparse data disk with an empty file system."""
    path = Path(disk.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(".raw")
    with raw.open("wb") as file:
        file.truncate(disk.size)
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "vdc-data", "-m", "0", str(raw)], timeout=_SECONDS)
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(path)], timeout=_SECONDS)
    raw.unlink()


def create_blank(path: Path, size: int) -> None:
    """Create a disk of `size` bytes with nothing on it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)], timeout=_SECONDS)


def backing(disk: Path) -> Path | None:
    """Return the disk that a qcow2 disk is an overlay on, or None (QEMU, docs/interop/qcow2.txt: header)."""
    with disk.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or not head.startswith(_MAGIC):  # not a qcow2, or not yet
            return None
        _magic, _version, offset, length = _HEAD.unpack(head)
        if not offset:
            return None
        file.seek(offset)
        return Path(os.fsdecode(file.read(length)))


def copy(source: Path, target: Path, *, base: Path) -> None:
    """Copy a disk that nobody writes, so that it depends on nothing but release images, which are below `base`."""
    chain = [source]
    while chain[-1].suffix == ".qcow2" and (below := backing(chain[-1])) is not None:
        chain.append(below)
    if len(chain) == 1 or chain[-1].is_relative_to(base):
        copy_plain(source, target)
        if len(chain) > 2:
            # what is between becomes part of it: `convert` with a base would leave that out
            onto = ["-F", image_format(chain[-1]), "-b", str(chain[-1])]
            rebase = ["qemu-img", "rebase", "-q", "-f", "qcow2", *onto, str(target)]
            run(rebase, timeout=_COPY_SECONDS)
        return
    # what nobody has open needs no lock, and what QEMU has open is only read by it
    convert = ["qemu-img", "convert", "-q", "-U", "-f", "qcow2", "-O", "qcow2"]
    run([*convert, str(source), str(target)], timeout=_COPY_SECONDS)


def copy_plain(source: Path, target: Path) -> None:
    """Copy a file as it is, with holes where it is zero."""
    run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], timeout=_COPY_SECONDS)


def create_config_disk(disk: ConfigDisk, secrets: Mapping[str, tuple[str, int]]) -> None:
    """Write a config disk: the plan's files and the server's secrets (path to text and mode) as a tar archive."""
    files = {name: (text, 0o644) for name, text in disk.files.items()} | dict(secrets)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (text, mode) in sorted(files.items()):
            data = text.encode()
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    path = Path(disk.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    content = archive.getvalue()
    if len(content) > CONFIG_SIZE:
        raise BuildError(disk.id, f"its files take {len(content)} bytes, and a config disk has {CONFIG_SIZE}")
    path.write_bytes(content.ljust(CONFIG_SIZE, b"\0"))
