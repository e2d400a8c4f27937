"""The volumes of a server: the files on the host that they are, and the disks that a guest sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Final

from vdc.model import addressing
from vdc.model.hardware import IoLimits, Volume
from vdc.model.topology import Server, Topology
from vdc.plan.context import PlanContext
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import SharedFolder, VolumeDisk

_DIRECT: Final = frozenset({"none", "directsync"})
_FIRST: Final = 3
"""Names of virtio disks begin after root, data and config disk, which other servers have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A volume as a guest sees it: a disk `file` of `format`, or what QEMU is told of it where libvirt cannot say it.

    `target` is the name that libvirt knows it by; NVMe disks have none.
    """

    file: Path
    format: str
    bus: str
    target: str | None
    cache: str
    serial: str
    writable: bool
    limits: IoLimits

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.limits != IoLimits()

    @property
    def id(self) -> str:
        """What QEMU calls it."""
        return f"vdc-{self.file.name.replace('.', '-')}"

    @property
    def drive(self) -> str:
        """QEMU's `-drive` (qemu-system(1)); commas are doubled, as its options want them."""
        writeback, direct, no_flush = {
            "writeback": ("on", "off", "off"),
            "none": ("on", "on", "off"),
            "writethrough": ("off", "off", "off"),
            "directsync": ("off", "on", "off"),
            "unsafe": ("on", "off", "on"),
        }[self.cache]
        options = {
            "if": "none",
            "id": self.id,
            "file": str(self.file).replace(",", ",,"),
            "format": self.format,
            "cache.writeback": writeback,
            "cache.direct": direct,
            "cache.no-flush": no_flush,
            "discard": "unmap",
            "werror": "enospc",
            "readonly": "off" if self.writable else "on",
            "throttling.bps-read": self.limits.read_bytes,
            "throttling.bps-write": self.limits.write_bytes,
            "throttling.iops-read": self.limits.read_iops,
            "throttling.iops-write": self.limits.write_iops,
        }
        return ",".join(f"{name}={value}" for name, value in options.items() if value != 0)

    @property
    def device(self) -> str:
        """QEMU's `-device` of an NVMe disk."""
        return f"nvme,drive={self.id},serial={self.serial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A folder of the host as a guest sees it: mounted by its `tag`."""

    source: Path
    tag: str


def plan_volumes(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what the volumes of a server are made of. A folder that it may write is nothing but itself."""
    images = {image.name: image for image in topology.images}
    for volume in server.hardware.volumes:
        if volume.kind == "folder":
            if not volume.writable:
                yield SharedFolder(
                    server=server.name,
                    name=volume.name,
                    source=str(volume.source),
                    path=str(context.shared_folder(server.name, volume.name)),
                    libvirt=str(context.libvirt),
                )
            continue
        yield VolumeDisk(
            server=server.name,
            name=volume.name,
            path=str(_file(server, volume, context)),
            content=volume.kind,
            size=volume.size,
            source=str(context.user_image(images[volume.source])) if volume.source else None,
            overlay=volume.overlay,
            direct=volume.cache in _DIRECT,
        )


def disks(server: Server, context: PlanContext) -> tuple[Disk, ...]:
    """Return the disks that a guest sees besides root, data and config disk, in their order."""
    counts = {"virtio": _FIRST if server.managed else 1, "scsi": 0}
    return tuple(
        Disk(
            file=_file(server, volume, context),
            format=_format(volume),
            bus=volume.bus,
            target=_target(volume.bus, counts),
            cache=volume.cache,
            serial=volume.serial or addressing.disk_serial(volume.name),
            writable=volume.writable,
            limits=volume.limits,
        )
        for volume in server.hardware.volumes
        if volume.kind != "folder"
    )


def shares(server: Server, context: PlanContext) -> tuple[Share, ...]:
    """Return the folders of the host that a guest can mount."""
    return tuple(
        Share(
            source=Path(str(volume.source)) if volume.writable else context.shared_folder(server.name, volume.name),
            tag=volume.name,
        )
        for volume in server.hardware.volumes
        if volume.kind == "folder"
    )


def blank(volumes: Sequence[Volume]) -> bool:
    """Return whether volumes are empty when a server first boots, and QEMU can freeze them."""
    return all(volume.kind in {"raw", "empty"} and volume.bus != "nvme" for volume in volumes)


def disk_name(number: int) -> str:
    """Return what the letters of a disk's name are: a, b … z, aa, ab … (Linux, drivers/scsi/sd.c)."""
    letters = ""
    while number >= 0:
        number, letter = divmod(number, len(ascii_lowercase))
        letters, number = ascii_lowercase[letter] + letters, number - 1
    return letters


def _target(bus: str, counts: dict[str, int]) -> str | None:
    if bus == "nvme":
        return None
    counts[bus] += 1
    return f"{'vd' if bus == 'virtio' else 'sd'}{disk_name(counts[bus] - 1)}"


def _file(server: Server, volume: Volume, context: PlanContext) -> Path:
    return context.volume(server.name, volume.name, _format(volume), volume.directory)


def _format(volume: Volume) -> str:
    return "raw" if volume.kind == "raw" else "qcow2"
