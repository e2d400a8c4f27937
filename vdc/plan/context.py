"""What a plan depends on besides the topology, and every name and path that follows from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from vdc.model.hardware import UserImage
from vdc.plan.emulation import UEFI_FIRMWARE, UefiFirmware


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """Where and how an instance runs. Paths are absolute; `slowness` is 1.0 on a host of ordinary speed.

    A fork has the `identity` of the instance it was made from: its guests remember their UUIDs. `uefi` is the firmware
    of guests that boot by UEFI.
    """

    instance: str
    state_dir: Path
    cache_dir: Path
    accelerator: Literal["kvm", "tcg"]
    slowness: float
    identity: str | None = None
    uefi: UefiFirmware = UEFI_FIRMWARE[0]

    @property
    def run_directory(self) -> Path:
        """Everything that an instance writes is below this."""
        return self.state_dir / self.instance

    @property
    def netns(self) -> str:
        """The namespace of the data centre itself: bridges, taps and libvirt are in it."""
        return f"vdc-{self.instance}"

    def device_netns(self, device: str) -> str:
        """Return the namespace of a router or of an external client."""
        return f"{self.netns}.{device}"

    def bird_file(self, router: str, suffix: str) -> Path:
        """Return a file of a router's BIRD: `conf`, `ctl` (control socket) or `log`."""
        return _below(self.state_dir, self.instance, "bird") / f"{router}.{suffix}"

    def root_disk(self, server: str) -> Path:
        """Return the overlay that is a server's root disk."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-root.qcow2"

    def data_disk(self, server: str) -> Path:
        """Return a server's data disk."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-data.qcow2"

    def config_disk(self, server: str) -> Path:
        """Return a server's config disk."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-config.tar"

    def volume(self, server: str, volume: str, suffix: str, directory: str | None = None) -> Path:
        """Return the file of a volume: with the other disks, or in a folder of this instance's own in `directory`."""
        folder = Path(directory) / self.netns if directory else _below(self.state_dir, self.instance, "disks")
        return folder / f"{server}.{volume}.{suffix}"

    def seed_disk(self, server: str) -> Path:
        """Return the disk that a guest of a user's image configures itself from."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-seed.iso"

    def ignition(self, server: str) -> Path:
        """Return the Ignition configuration of a guest of a user's image."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-ignition.json"

    def nvram(self, server: str) -> Path:
        """Return the firmware variables of a server that boots by UEFI."""
        return _below(self.state_dir, self.instance, "disks") / f"{server}-nvram.fd"

    def shared_folder(self, server: str, volume: str) -> Path:
        """Return where a folder of the host is bound for a server that must not write it."""
        return self.libvirt / "folders" / f"{server}.{volume}"

    def user_image(self, image: UserImage) -> Path:
        """Return a user's image in the cache, unpacked: known by its content, or before that is, by where it is."""
        known = image.sha256 or f"{image.url}{image.file}"
        digest = hashlib.sha256(f"{known} {image.compression}".encode()).hexdigest()
        return self.cache_dir / "images" / f"user-{digest[:16]}" / "disk.img"

    @property
    def consoles(self) -> Path:
        """The directory of console sockets and logs."""
        return _below(self.state_dir, self.instance, "consoles")

    def console(self, server: str) -> Path:
        """Return the unix socket to a server's serial console."""
        return self.consoles / f"{server}.sock"

    def console_log(self, server: str) -> Path:
        """Return the log of all that a server wrote to its console, as it wrote it."""
        return self.consoles / f"{server}.raw"

    @property
    def libvirt(self) -> Path:
        """The directory of the data centre's libvirt daemon."""
        return _below(self.state_dir, self.instance, "libvirt")

    def process_file(self, server: str) -> Path:
        """Return where libvirt writes the process id of a server's QEMU."""
        return self.libvirt / "run" / "qemu" / f"{server}.pid"

    def uuid(self, server: str) -> UUID:
        """Return a server's UUID: version 5 (RFC 9562) of `vdc:IDENTITY/SERVER` as a URL."""
        return uuid5(NAMESPACE_URL, f"vdc:{self.identity or self.instance}/{server}")


@lru_cache(maxsize=256)
def _below(state_dir: Path, instance: str, folder: str) -> Path:
    """Return a folder of a run directory: asked for many times for each server."""
    return state_dir / instance / folder
