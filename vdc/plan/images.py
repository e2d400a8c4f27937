"""The release images, as data: what a server's root disk is made of.

An image is known by a digest of everything here that goes into it, so that a plan can name its files without
building it, and a changed recipe is a new image. `vdc.host.images` builds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

RECIPE_VERSION = 1
"""Raise when `vdc.host.images` builds something else from the same recipe."""

_NETWORK_UNIT = """\
[Unit]
Description=Addresses of this server, from its config disk
DefaultDependencies=no
After=systemd-sysctl.service
Before=network.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/vdc/network

[Install]
WantedBy=sysinit.target
"""

_BIRD_EARLY = """\
[Unit]
DefaultDependencies=no
After=vdc-network.service systemd-journald.socket
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Restart=always
RestartSec=1

[Install]
WantedBy=sysinit.target
"""

# Debian has udev start the agent, which is late; its port is there before systemd is. It notes each poll for the end
# of a command, hence the log level.
_AGENT_UNIT = """\
[Unit]
Description=QEMU Guest Agent
DefaultDependencies=no
After=systemd-journald.socket
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/sbin/qemu-ga
Restart=always
RestartSec=0
LogLevelMax=notice

[Install]
WantedBy=sysinit.target
"""

_AUTOLOGIN = """\
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - $TERM
"""

_FILES = (
    ("/etc/fstab", ""),
    ("/etc/systemd/system/vdc-network.service", _NETWORK_UNIT),
    ("/etc/systemd/system/bird.service.d/vdc.conf", _BIRD_EARLY),
    ("/etc/systemd/system/qemu-guest-agent.service", _AGENT_UNIT),
    ("/etc/systemd/system/serial-getty@ttyS0.service.d/vdc.conf", _AUTOLOGIN),
    ("/etc/systemd/journald.conf.d/vdc.conf", "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n"),
)

_PACKAGES = (
    "bird2",
    "busybox-static",
    "dbus",
    "e2fsprogs",
    "etcd-client",
    "etcd-server",
    "iproute2",
    "iputils-ping",
    "linux-image-cloud-amd64",
    "nftables",
    "openssh-server",
    "procps",
    "qemu-guest-agent",
    "systemd",
    "systemd-sysv",
    "tiny-initramfs",  # satisfies the kernel's dependency; the initial RAM disk is ours
    "udev",
)

_ENABLED = (
    "vdc-network.service",
    "bird.service",
    "qemu-guest-agent.service",
    "serial-getty@ttyS0.service",
    "ssh.service",
)

_MASKED = (
    # the cluster brings its own unit, with its own data directory
    "etcd.service",
    "etcd2.service",
    # nothing here may change by itself or wait for what this network does not have
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "sshd-keygen.service",
    "systemd-pstore.service",
    # not used by anything in these servers, and each costs a process or more at boot, dear under emulation
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-hostnamed.socket",
    "systemd-journal-catalog-update.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-remount-fs.service",
    "systemd-sysext.socket",
    "systemd-sysusers.service",
    "systemd-udev-load-credentials.service",
    "systemd-update-done.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A root disk: a Debian suite with packages, files added, and units enabled or masked.

    `files` are pairs of absolute path and text; `modules` are loaded by the initial RAM disk, which mounts the
    root and the data disk, unpacks the config disk, and hands over to systemd. `boot_seconds` is what the kernel takes
    until it misses a root disk on the host whose slowness is 1.0 (two cores, emulated).
    """

    name: str
    suite: str
    boot_seconds: float
    size: int = 2 * 1024**3
    packages: tuple[str, ...] = _PACKAGES
    files: tuple[tuple[str, str], ...] = _FILES
    enabled: tuple[str, ...] = _ENABLED
    masked: tuple[str, ...] = _MASKED
    modules: tuple[str, ...] = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "dummy")
    cmdline: str = (
        "root=/dev/vda rw console=ttyS0,115200 net.ifnames=0 fsck.mode=skip panic=0"
        " quiet loglevel=4 systemd.show_status=1"
    )

    @property
    def digest(self) -> str:
        """A SHA-256 of all that goes into the image, in hex."""
        recipe = asdict(self) | {"recipe": RECIPE_VERSION}
        for outside in ("boot_seconds", "cmdline"):
            del recipe[outside]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()

    def directory(self, cache: Path) -> Path:
        """Where the image is kept in the cache."""
        return cache / "images" / f"{self.name}-{self.digest[:12]}"

    def root(self, cache: Path) -> Path:
        """The root disk, raw and read-only."""
        return self.directory(cache) / "root.img"

    def kernel(self, cache: Path) -> Path:
        """The kernel, for direct boot."""
        return self.directory(cache) / "vmlinuz"

    def initrd(self, cache: Path) -> Path:
        """The initial RAM disk."""
        return self.directory(cache) / "initrd.img"

    def manifest(self, cache: Path) -> Path:
        """What was built: a JSON object of digests and package versions; written last."""
        return self.directory(cache) / "manifest.json"


IMAGES: Mapping[str, Image] = MappingProxyType(
    {
        "debian-12": Image(name="debian-12", suite="bookworm", boot_seconds=2.0),
        "debian-13": Image(name="debian-13", suite="trixie", boot_seconds=2.6),
    }
)
