"""What a server's disks are, and other files that its machine starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A root disk: a qcow2 overlay on the disk `backing` of the image `image`: a release, or the user's own."""

    server: str
    path: str
    backing: str
    image: str

    @property
    def id(self) -> str:
        """`overlay:SERVER`."""
        return f"overlay:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing; the image is in the cache before a plan is applied."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """A sparse qcow2 disk of `size` bytes with an ext4 file system labelled `vdc-data`; outlives reimaging."""

    server: str
    path: str
    size: int

    @property
    def id(self) -> str:
        """`data:SERVER`."""
        return f"data:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDisk:
    """A read-only disk that is a plain tar archive of `files` (absolute guest path to text), unpacked at each boot.

    The host adds `/etc/hosts` and the server's secrets (SSH host key, authorised key) when it writes the disk.
    """

    server: str
    path: str
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """`config:SERVER`."""
        return f"config:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDisk:
    """A disk of a server besides those that every server has; `size` in bytes, or 0 for that of its image.

    Its `content` is a qcow2 of an `image` at `source` (an `overlay` on it or a copy), a `raw` file of blocks, or an
    `empty`, sparse qcow2. With `direct`, its file system must do without a cache (open(2): O_DIRECT).
    """

    server: str
    name: str
    path: str
    content: Literal["image", "raw", "empty"]
    size: int
    source: str | None = None
    overlay: bool = True
    direct: bool = False

    @property
    def id(self) -> str:
        """`volume:SERVER/NAME`."""
        return f"volume:{self.server}/{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing; the image is in the cache before a plan is applied."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A folder of the host, `source`, bound read-only at `path` where only the libvirt daemon and its guests see it."""

    server: str
    name: str
    source: str
    path: str
    libvirt: str

    @property
    def id(self) -> str:
        """`folder:SERVER/NAME`."""
        return f"folder:{self.server}/{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The libvirt daemon."""
        return ("libvirtd",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDisk:
    """A disk labelled `cidata` with `files` (name to text), which cloud-init takes for its source (NoCloud)."""

    server: str
    path: str
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        """`seed:SERVER`."""
        return f"seed:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnitionFile:
    """An Ignition configuration, which QEMU hands over by its firmware configuration device."""

    server: str
    path: str
    text: str

    @property
    def id(self) -> str:
        """`ignition:SERVER`."""
        return f"ignition:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvram:
    """The variables of a UEFI firmware: a copy of `template`, written by the guest, kept as long as its disks."""

    server: str
    path: str
    template: str

    @property
    def id(self) -> str:
        """`nvram:SERVER`."""
        return f"nvram:{self.server}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()
