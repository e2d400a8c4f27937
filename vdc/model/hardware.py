"""What a server's machine is made of beyond CPUs, memory and the data disk, and what it configures itself from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Smp:
    """How virtual CPUs are presented: `maxcpus` = sockets x dies x cores x threads; `cpus` of them are there."""

    cpus: int
    sockets: int
    dies: int
    cores: int
    threads: int
    maxcpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IoLimits:
    """The most that a disk does in a second; 0 means no limit."""

    read_bytes: int = 0
    write_bytes: int = 0
    read_iops: int = 0
    write_iops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A disk of a server besides root, data and config disk; or, of kind `folder`, a folder of the host (virtiofs).

    `image` is a copy or overlay of an image of the file, `raw` a file of blocks, `empty` a sparse qcow2. `source` is
    the name of the image, or the path of the folder. `directory` is where the file is kept, if not with the others.
    """

    name: str
    kind: Literal["image", "raw", "empty", "folder"]
    bus: Literal["virtio", "nvme", "scsi"] = "virtio"
    cache: Literal["writeback", "none", "writethrough", "directsync", "unsafe"] = "writeback"
    size: int = 0
    source: str | None = None
    overlay: bool = True
    writable: bool = True
    serial: str | None = None
    limits: IoLimits = IoLimits()
    directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Smbios:
    """What a server says of itself: SMBIOS type 1 (DMTF DSP0134)."""

    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a guest of a user's image configures itself from: texts, not paths.

    `user_data` and `network_config` make a NoCloud disk (cloud-init); `ignition` is handed over by the firmware.
    """

    user_data: str | None = None
    network_config: str | None = None
    ignition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a server's machine has beyond CPUs, memory and the data disk."""

    smp: Smp | None = None
    numa: int = 0
    queues: int = 1
    firmware: Literal["bios", "uefi"] = "bios"
    smbios: Smbios = Smbios()
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserImage:
    """A disk image that the file brings: a `url` or a `file`, checked by its `sha256`, perhaps compressed."""

    name: str
    url: str | None = None
    file: str | None = None
    sha256: str | None = None
    compression: Literal["gzip", "bzip2", "xz"] | None = None


PLAIN: Final = Hardware()
"""The hardware of a server of which the file says nothing."""

UNSEEDED: Final = Seed()
"""The seed of a server that has none."""
