"""The language of topology files: what servers have, and the images that they boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from vdc.model.section import Section
from vdc.model.values import Name, Size, at_least

LATER: Final[Mapping[str, str]] = {
    "tpm": "a TPM is not built yet",
    "netboot": "booting from the network is not built yet",
    "bmc": "a BMC is not built yet",
}
"""Keys of a server that mean something, and are refused by name until they do."""

ExposedPool = Literal["load_balancer", "bastion", "egress", "global"]

EXPOSED: Final[tuple[ExposedPool, ...]] = ("load_balancer", "bastion", "egress", "global")
"""Pools whose addresses are meant for the outside: with `routing.exposed`, borders learn these and nothing else."""


class SmpSpec(Section):
    """How virtual CPUs are presented; what is left out follows from the rest, sockets first."""

    cpus: Annotated[int, Field(ge=1, le=64)] | None = None
    """CPUs that are there at the start; by default as many as there can be."""
    sockets: Annotated[int, Field(ge=1, le=64)] | None = None
    """Sockets."""
    dies: Annotated[int, Field(ge=1, le=64)] = 1
    """Dies in each socket."""
    cores: Annotated[int, Field(ge=1, le=64)] | None = None
    """Cores in each die."""
    threads: Annotated[int, Field(ge=1, le=8)] = 1
    """Threads of each core."""
    maxcpus: Annotated[int, Field(ge=1, le=64)] | None = None
    """CPUs that there can be: sockets x dies x cores x threads."""


class IoLimitsSpec(Section):
    """The most that a disk does in a second: bytes as a size, operations as a number."""

    read: Annotated[Size, at_least("64KiB")] | None = None
    """Bytes read in a second."""
    write: Annotated[Size, at_least("64KiB")] | None = None
    """Bytes written in a second."""
    read_iops: Annotated[int, Field(ge=1)] | None = None
    """Reads in a second."""
    write_iops: Annotated[int, Field(ge=1)] | None = None
    """Writes in a second."""


class VolumeSpec(Section):
    """A disk besides root and data disk: `image` names one of `images`, `path` a folder of the host.

    Kinds: `image` (an overlay, or with `overlay: false` a copy), `raw`, `empty` (sparse qcow2), `folder` (virtiofs).
    """

    name: Name
    """What it is called; also the tag by which a folder is mounted."""
    kind: Literal["image", "raw", "empty", "folder"]
    """`image`: an overlay or copy of an image; `raw`: a file of blocks; `empty`: a sparse qcow2; `folder`: a folder
    of the host.
    """
    bus: Literal["virtio", "nvme", "scsi"] = "virtio"
    """How the disk is attached."""
    cache: Literal["writeback", "none", "writethrough", "directsync", "unsafe"] = "writeback"
    """How the host caches it."""
    size: Annotated[Size, at_least("1MiB")] | None = None
    """How big it is; for an image, what it grows to."""
    image: str | None = None
    """Which of `images` it is made from."""
    overlay: bool = True
    """Whether an image is the base of an overlay; if not, it is copied."""
    path: str | None = None
    """The folder of the host: an absolute path."""
    writable: bool = True
    """Whether the guest may write to it."""
    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,20}$")] | None = None
    """The serial number of the disk; by default its name."""
    limits: IoLimitsSpec | None = None
    """The most that it does in a second."""
    device_class: str | None = None
    """Which of `device_classes` it is kept in."""
    count: Annotated[int, Field(ge=1, le=64)] = 1
    """With more than one, each has its number behind name and serial."""


class SmbiosSpec(Section):
    """What a server says of itself (SMBIOS type 1). A serial of its own comes from its name."""

    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Who made it."""
    product: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What it is."""
    serial: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Its serial number; by default SHA-1 of its name."""


class ServerSpec(Section):
    """What a server has. Every key may stand in a role, and again for a rack or a single server, which wins.

    `image` is a release, or a name of `images`: such a guest is the user's own to configure, by `user_data` and
    `network_config` (paths to cloud-init files) or `ignition` (a path), in which `$name` is not replaced.
    `announces` are pools from which each gets an address that it announces besides its own; `pod_blocks` how many
    blocks of the pod pool.
    """

    cpu: Annotated[int, Field(ge=1, le=64)] | None = None
    """Virtual CPUs; 1 where neither this nor `smp` is said."""
    smp: SmpSpec | None = None
    """Virtual CPUs as sockets, dies, cores and threads; instead of `cpu`."""
    memory: Annotated[Size, at_least("128MiB")] | None = None
    """Memory; 640MiB where nothing is said."""
    data: Annotated[Size, at_least("16MiB")] | None = None
    """The size of the data disk, which outlives the root disk; 1GiB where nothing is said."""
    numa: Annotated[int, Field(ge=1, le=8)] | None = None
    """NUMA nodes among which CPUs and memory are shared out evenly."""
    queues: Annotated[int, Field(ge=1, le=16)] | None = None
    """Queues of each NIC."""
    uefi: bool | None = None
    """Whether the firmware is UEFI, with variables of its own."""
    smbios: SmbiosSpec | None = None
    """What the machine says of itself."""
    image: str | None = None
    """One of `images` for the root disk: a guest that the user configures; by default the release."""
    volumes: Annotated[tuple[VolumeSpec, ...], Field(strict=False)] | None = None
    """Disks and folders besides root and data disk."""
    user_data: str | None = None
    """A file for cloud-init, relative to the file it is named in; only with an image of one's own."""
    network_config: str | None = None
    """A file for cloud-init, beside `user_data`."""
    ignition: str | None = None
    """A file for Ignition, in JSON; only with an image of one's own."""
    announces: Annotated[tuple[ExposedPool, ...], Field(strict=False)] | None = None
    """Pools from which the server gets an address each, which it announces besides its own."""
    pod_blocks: Annotated[int, Field(ge=0, le=64)] | None = None
    """Blocks of the pod pool that the server gets and announces."""
    tpm: bool | None = None
    """Not built yet."""
    netboot: bool | None = None
    """Not built yet."""
    bmc: bool | None = None
    """Not built yet."""


class ImageSpec(Section):
    """A disk image of the user's own: exactly one of `url` (with its `sha256`) and `file`."""

    url: str | None = None
    """Where it is fetched from, over HTTP."""
    file: str | None = None
    """A file of the host, relative to the file it is named in."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of what is fetched or read, in hex."""
    compression: Literal["gzip", "bzip2", "xz"] | None = None
    """How it is compressed."""
