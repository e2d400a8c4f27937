"""The release images, as data: what a server's root disk is made of.

An image is known by a digest of everything here that goes into it, so that a plan can name its files without
building it, and a changed recipe is a new image. `vdc.host.images` builds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vdc.model.release import Component, Os, Release
from vdc.model.releases import STOCK, catalogue, names
from vdc.plan.image_files import STOCK_FILES, UNCONFINED, image_files
from vdc.plan.oci import CONTAINER_IMAGES

RECIPE_VERSION = 4
"""Raise when `vdc.host.images` builds something else from the same recipe."""

_PACKAGES = (
    "busybox-static",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "iputils-ping",
    "nftables",
    "openssh-server",
    "procps",
    "qemu-guest-agent",
    "systemd",
    "systemd-sysv",
    "tiny-initramfs",  # satisfies the kernel's dependency; the initial RAM disk is ours
    "udev",
)

_WANTED = (
    (
        "sysinit.target",
        (
            "bird.service",
            "qemu-guest-agent.service",
            "systemd-journald.service",
            "systemd-sysctl.service",
            "systemd-tmpfiles-setup.service",
            "systemd-udev-trigger.service",
            "vdc-network.service",
        ),
    ),
    ("multi-user.target", ("ssh.socket", "systemd-logind.service", "vdc-console.service")),
)

# the cluster brings its own unit, with its own data directory
_ETCD = ("etcd.service", "etcd2.service")

# pulled in by what is wanted, and not needed by it
_UNUSED = (
    "modprobe@drm.service",
    "systemd-journald-audit.socket",
    "systemd-udev-load-credentials.service",
    "tmp.mount",
)

_STOCK_PACKAGES = (
    "bird2",
    "etcd-client",
    "etcd-server",
    "initramfs-tools",
    "linux-image-amd64",
    "nftables",
    "openssh-server",
    "qemu-guest-agent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A root disk: a Debian suite with packages, files added, and units wanted or masked.

    `files` are pairs of absolute path and text; `wanted` are pairs of a target and the units that it starts: nothing
    else is started. `modules` are loaded by the initial RAM disk, which mounts the root and the data disk, unpacks the
    config disk, and hands over to systemd. A `stock` image boots as Debian does: with Debian's initial RAM disk,
    generators and units, beside which its `wanted` are started. `boot_seconds` is what the kernel takes until it
    misses a root disk on the host whose slowness is 1.0 (two cores, emulated). `release` tells what is not of
    packages, too.
    """

    name: str
    suite: str
    boot_seconds: float
    files: tuple[tuple[str, str], ...]
    stock: bool = False
    release: Release | None = None
    size: int = 2 * 1024**3
    packages: tuple[str, ...] = _PACKAGES
    wanted: tuple[tuple[str, tuple[str, ...]], ...] = _WANTED
    masked: tuple[str, ...] = (*_ETCD, *_UNUSED)
    modules: tuple[str, ...] = (
        *("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "dummy"),
        *("button", "evdev", "pvpanic_mmio"),  # the power button, and the way to say that the kernel has panicked
        "vmgenid",  # where the kernel has it, a clone draws other random numbers from its first moment on
    )
    cmdline: str = (
        "root=/dev/vda rw console=ttyS0,115200 net.ifnames=0 fsck.mode=skip panic=0"
        " quiet loglevel=4 systemd.show_status=1 nokaslr cryptomgr.notests init_on_alloc=0"
    )

    @property
    def digest(self) -> str:
        """A SHA-256 of all that goes into the image, in hex."""
        return _digest(self)

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


@cache
def _digest(image: Image) -> str:
    """Asked for by every server, and the same for all."""
    return hashlib.sha256(json.dumps(recipe(image), sort_keys=True).encode()).hexdigest()


def recipe(image: Image) -> dict[str, object]:
    """Return everything here that goes into an image."""
    outside = ("boot_seconds", "cmdline", "release")
    own = {field.name: getattr(image, field.name) for field in fields(image) if field.name not in outside}
    components = [_identity(each) for each in image.release.components] if image.release is not None else []
    whole = own | {"components": components, "recipe": RECIPE_VERSION}
    if image.release is None or image.release.kubernetes is None:
        return whole
    containers = {name: (each.name, each.links, each.command) for name, each in CONTAINER_IMAGES.items()}
    return whole | {"containers": containers}


def _identity(component: Component) -> tuple[object, ...]:
    files = [file.identity for file in component.files]
    source = component.source.digest if component.source is not None else None
    suite = () if component.suite is None else (component.suite, *component.packages)
    return component.name, component.version, files, source, *suite


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What the image of a release is built on."""

    suite: str
    boot_seconds: float
    unconfined: str


_BASES: Final[Mapping[Os, _Base]] = MappingProxyType(
    {
        "debian-12": _Base(suite="bookworm", boot_seconds=2.0, unconfined=UNCONFINED),
        "debian-13": _Base(
            suite="trixie",
            boot_seconds=2.6,
            unconfined=f"{UNCONFINED}ImportCredential=\n",  # new with systemd 254
        ),
    }
)

_STOCK_IMAGE: Final = Image(
    name=STOCK,
    suite="bookworm",
    boot_seconds=4.7,
    stock=True,
    packages=_STOCK_PACKAGES,
    files=STOCK_FILES,
    wanted=(("sysinit.target", ("vdc-config.service", "vdc-network.service")),),
    masked=_ETCD,
    modules=(),
    cmdline="root=/dev/vda rw console=ttyS0,115200 net.ifnames=0 panic=0 quiet",
)

_KUBERNETES_SIZE: Final = 6 * 1024**3
"""Bytes: what runs pods has their images and logs on its root disk."""


def image_of(release: Release) -> Image:
    """Return the image of a release."""
    base = _BASES[release.os]
    installed = (each for each in release.components if release.unpacked(each) is None)
    packages = {*_PACKAGES, *(package for each in installed for package in each.packages)}
    image = Image(
        name=release.name,
        suite=base.suite,
        boot_seconds=base.boot_seconds,
        files=image_files(base.unconfined),
        packages=tuple(sorted(packages)),
        release=release,
    )
    if release.kubernetes is None:
        return image
    # the cluster writes the unit of each component itself, by these names
    return replace(image, size=_KUBERNETES_SIZE, masked=_UNUSED)


class _Images(Mapping[str, Image]):
    """The image of every release, made when it is first asked for: release files are read then."""

    def __getitem__(self, name: str) -> Image:
        return _image(name)

    def __iter__(self) -> Iterator[str]:
        return iter(names())

    def __len__(self) -> int:
        return len(names())


@cache
def _image(name: str) -> Image:
    return _STOCK_IMAGE if name == STOCK else image_of(catalogue()[name])


IMAGES: Final[Mapping[str, Image]] = _Images()
