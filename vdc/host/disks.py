"""Disks of servers: overlays on release images, data disks, config disks."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from vdc.plan.resources import ConfigDisk, DataDisk, Overlay
from vdc.shell import run

_SECONDS = 60.0
_SECTOR = 512


def create_overlay(overlay: Overlay) -> None:
    """Create an empty qcow2 overlay on its image; one that is there is replaced: that is what reimaging is."""
    create_overlay_on(Path(overlay.path), Path(overlay.backing), "raw")


def create_overlay_on(path: Path, backing: Path, backing_format: str) -> None:
    """Create an empty qcow2 overlay on a disk, replacing what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", str(backing), str(path)],
        timeout=_SECONDS,
    )


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
    path.write_bytes(content + bytes(-len(content) % _SECTOR))
