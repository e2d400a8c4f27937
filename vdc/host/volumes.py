"""Volumes of servers, what guests of a user's image configure themselves from, and firmware variables."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from vdc.errors import BuildError
from vdc.host import disks
from vdc.plan.resources.disks import IgnitionFile, Nvram, SeedDisk, SharedFolder, VolumeDisk
from vdc.shell import run

_SECONDS = 60.0
_COPY_SECONDS = 1800.0


_OUTSIDE = "outside"
"""The file of a run directory that names, a line each, what its data centre keeps elsewhere."""


def create(volume: VolumeDisk, run_directory: Path) -> None:
    """Create a volume, replacing what is there.

    Raises BuildError: it would be smaller than its image, or its file system wants its cache.
    """
    path = prepare(volume, run_directory)
    if volume.content == "image":
        _create_from_image(volume, path)
    elif volume.content == "raw":
        with path.open("wb") as file:
            file.truncate(volume.size)
    else:
        disks.create_blank(path, volume.size)
    if volume.direct:
        _expect_direct(volume, path)


def _create_from_image(volume: VolumeDisk, path: Path) -> None:
    image = Path(str(volume.source))
    had = virtual_size(image)
    if volume.size and volume.size < had:
        raise BuildError(volume.id, f"its image has {had} bytes, and its size is {volume.size}")
    if volume.overlay:
        disks.create_overlay_on(path, image, disks.image_format(image))
    else:
        run(["qemu-img", "convert", "-q", "-O", "qcow2", str(image), str(path)], timeout=_COPY_SECONDS)
    if volume.size > had:
        run(["qemu-img", "resize", "-q", "-f", "qcow2", str(path), str(volume.size)], timeout=_SECONDS)


def _expect_direct(volume: VolumeDisk, path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError as error:
        why = f"the file system of {path.parent} always caches, and the volume must not be cached: {error.strerror}"
        raise BuildError(volume.id, why) from error


def virtual_size(disk: Path) -> int:
    """Return the bytes that a guest sees of a disk."""
    return int(described(disk)["virtual-size"])


def described(disk: Path) -> dict[str, Any]:
    """Return what qemu-img(1) says of a disk that nobody has open for writing."""
    said: dict[str, Any] = json.loads(run(["qemu-img", "info", "--output=json", str(disk)], timeout=_SECONDS).stdout)
    return said


def prepare(volume: VolumeDisk, run_directory: Path) -> Path:
    """Return where a volume is to be, with nothing there; whoever takes the data centre down knows of it then."""
    path = Path(volume.path)
    if not path.is_relative_to(run_directory) and path not in outside(run_directory):
        with (run_directory / _OUTSIDE).open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")
            file.flush()
            os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def outside(run_directory: Path) -> tuple[Path, ...]:
    """Return the files of a data centre that are not below its run directory: volumes of a device class."""
    with suppress(FileNotFoundError):
        return tuple(map(Path, (run_directory / _OUTSIDE).read_text(encoding="utf-8").splitlines()))
    return ()


def remove_outside(run_directory: Path) -> None:
    """Remove the files of a data centre that are not below its run directory, and the folders made for them."""
    files = outside(run_directory)
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        with suppress(OSError):  # it is gone, or somebody keeps something else there
            folder.rmdir()


def create_seed(seed: SeedDisk) -> None:
    """Write a disk that cloud-init finds by its label (datasource NoCloud): an ISO 9660 file system (xorrisofs(1))."""
    path = Path(seed.path)
    work = path.with_suffix(".files")
    work.mkdir(parents=True)
    for name, text in seed.files.items():
        (work / name).write_text(text, encoding="utf-8")
    run(["xorrisofs", "-quiet", "-o", str(path), "-V", "cidata", "-J", "-R", str(work)], timeout=_SECONDS)
    shutil.rmtree(work)


def write_ignition(ignition: IgnitionFile) -> None:
    """Write an Ignition configuration."""
    path = Path(ignition.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ignition.text, encoding="utf-8")


def create_nvram(nvram: Nvram) -> None:
    """Give a machine the firmware variables that a new one has."""
    Path(nvram.path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(nvram.template, nvram.path)


def bind_folder(folder: SharedFolder) -> None:
    """Bind a folder of the host, read-only, in the mount namespace of the libvirt daemon: it ends with the daemon."""
    Path(folder.path).mkdir(parents=True, exist_ok=True)
    daemon = (Path(folder.libvirt) / "run" / "libvirtd.pid").read_text(encoding="utf-8").strip()
    inside = ["nsenter", f"--mount=/proc/{daemon}/ns/mnt", "--", "mount"]
    run([*inside, "--bind", folder.source, folder.path], timeout=_SECONDS, where=folder.id)
    run([*inside, "-o", "remount,bind,ro", folder.path], timeout=_SECONDS, where=folder.id)


def unbind_folder(folder: SharedFolder) -> None:
    """Undo `bind_folder`, as far as the daemon is still there."""
    with suppress(FileNotFoundError):
        daemon = (Path(folder.libvirt) / "run" / "libvirtd.pid").read_text(encoding="utf-8").strip()
        inside = ["nsenter", f"--mount=/proc/{daemon}/ns/mnt", "--", "umount", folder.path]
        run(inside, timeout=_SECONDS, check=False, where=folder.id)
        Path(folder.path).rmdir()
