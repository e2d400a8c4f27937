"""What a plan depends on besides the topology, and every name and path that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """Where and how an instance runs. Paths are absolute; `slowness` is 1.0 on a host of ordinary speed.

    A fork has the `identity` of the instance it was made from: its guests remember their UUIDs.
    """

    instance: str
    state_dir: Path
    cache_dir: Path
    accelerator: Literal["kvm", "tcg"]
    slowness: float
    identity: str | None = None

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
        return self.run_directory / "bird" / f"{router}.{suffix}"

    def root_disk(self, server: str) -> Path:
        """Return the overlay that is a server's root disk."""
        return self.run_directory / "disks" / f"{server}-root.qcow2"

    def data_disk(self, server: str) -> Path:
        """Return a server's data disk."""
        return self.run_directory / "disks" / f"{server}-data.qcow2"

    def config_disk(self, server: str) -> Path:
        """Return a server's config disk."""
        return self.run_directory / "disks" / f"{server}-config.tar"

    @property
    def consoles(self) -> Path:
        """The directory of console sockets and logs."""
        return self.run_directory / "consoles"

    def console(self, server: str) -> Path:
        """Return the unix socket to a server's serial console."""
        return self.consoles / f"{server}.sock"

    def console_log(self, server: str) -> Path:
        """Return the log of all that a server wrote to its console, as it wrote it."""
        return self.consoles / f"{server}.raw"

    @property
    def libvirt(self) -> Path:
        """The directory of the data centre's libvirt daemon."""
        return self.run_directory / "libvirt"

    def process_file(self, server: str) -> Path:
        """Return where libvirt writes the process id of a server's QEMU."""
        return self.libvirt / "run" / "qemu" / f"{server}.pid"

    def uuid(self, server: str) -> UUID:
        """Return a server's UUID: version 5 (RFC 9562) of `vdc:IDENTITY/SERVER` as a URL."""
        return uuid5(NAMESPACE_URL, f"vdc:{self.identity or self.instance}/{server}")
