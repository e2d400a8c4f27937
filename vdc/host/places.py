"""What servers need of the host besides room: files, folders, firmware. Looked at before anything is touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vdc.host import firmware
from vdc.model.topology import Server
from vdc.plan.emulation import UefiFirmware
from vdc.plan.plan import Plan
from vdc.plan.resources.disks import VolumeDisk

_MIB = 1 << 20
_VIRTIOFSD = (Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd"))
"""Where Debian 12 has it (with QEMU), and where Debian 13 and Ubuntu have it (package virtiofsd)."""


def lacks(plan: Plan, *, owned: bool, uefi: Callable[[], UefiFirmware | None] = firmware.uefi) -> tuple[str, ...]:
    """Return everything that servers of a plan need and is not there, a sentence each, naming the first server.

    `owned` says that what is there under the instance's name is its own.
    """
    return (
        *_firmware(plan, uefi),
        *_images(plan),
        *_folders(plan),
        *_device_classes(plan, owned=owned),
    )


def _firmware(plan: Plan, uefi: Callable[[], UefiFirmware | None]) -> Iterator[str]:
    server = _first(plan, lambda each: each.hardware.firmware == "uefi")
    if server is not None and uefi() is None:
        yield f"{server} boots by UEFI, and there is no firmware for that: install the package ovmf"


def _images(plan: Plan) -> Iterator[str]:
    missing = {
        image.name: image.file
        for image in plan.topology.images
        if image.file and not Path(image.file).is_file() and not plan.context.user_image(image).exists()
    }
    for server in plan.topology.servers:
        for name in (server.image, *(volume.source for volume in server.hardware.volumes if volume.kind == "image")):
            if name in missing:
                yield f"{server.name} needs the image {name}, and {missing.pop(name)} is not there"


def _folders(plan: Plan) -> Iterator[str]:
    missing: dict[str, str] = {}
    for server in plan.topology.servers:
        for volume in server.hardware.volumes:
            if volume.kind == "folder" and not Path(str(volume.source)).is_dir():
                missing.setdefault(str(volume.source), server.name)
    yield from (f"{name} needs the folder {folder}, which is not there" for folder, name in missing.items())
    name = _first(plan, lambda each: any(volume.kind == "folder" for volume in each.hardware.volumes))
    if name is not None and not any(path.exists() for path in _VIRTIOFSD):
        yield f"{name} shares a folder, and virtiofsd is missing: install the package virtiofsd"


def _device_classes(plan: Plan, *, owned: bool) -> Iterator[str]:
    needed: dict[Path, int] = {}
    for server in plan.topology.servers:
        for volume in server.hardware.volumes:
            if volume.directory is not None:
                place = Path(volume.directory)
                if place not in needed and not place.is_dir():
                    yield f"{server.name} keeps {volume.name} in {place}, which is not a folder"
                needed[place] = needed.get(place, 0) + volume.size
    for place, size in needed.items():
        if place.is_dir() and (free := shutil.disk_usage(place).free) < size:
            yield f"too little disk in {place}: needs {size // _MIB} MiB, {free // _MIB} MiB are free"
    if not owned:
        yield from _foreign(plan)


def _foreign(plan: Plan) -> Iterator[str]:
    """Yield the files that a volume would overwrite."""
    for resource in plan.resources:
        if isinstance(resource, VolumeDisk) and Path(resource.path).exists():
            yield f"{resource.path} is there, and is not vdc's"


def _first(plan: Plan, matches: Callable[[Server], bool]) -> str | None:
    return next((server.name for server in plan.topology.servers if matches(server)), None)
