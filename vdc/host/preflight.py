"""Can this host hold the plan? Asked before anything is touched, and answered with all that lacks at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vdc.errors import HostError
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan
from vdc.plan.resources import Bird, Domain, Namespace, Overlay
from vdc.settings import Settings
from vdc.shell import find, run

MIB = 1024**2
GIB = 1024**3

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "ip": "iproute2",
        "nsenter": "util-linux",
        "unshare": "util-linux",
        "setpriv": "util-linux",
        "setsid": "util-linux",
        "mount": "mount",
        "ping": "iputils-ping",
        "bird": "bird2",
        "birdc": "bird2",
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "libvirtd": "libvirt-daemon",
        "mke2fs": "e2fsprogs",
        "mmdebstrap": "mmdebstrap",
        "cpio": "cpio",
        "gpg": "gpg",
        "chroot": "coreutils",
        "ssh": "openssh-client",
    }
)
"""Every tool that vdc starts, and the package of Debian and Ubuntu that has it."""

FABRIC_TOOLS = frozenset({"ip", "nsenter", "unshare", "setpriv", "setsid", "ping", "bird", "birdc"})
SERVER_TOOLS = frozenset({"qemu-system-x86_64", "qemu-img", "libvirtd", "mount", "mke2fs"})
# without gpg, mmdebstrap does not find out which key signed a suite that the host's own apt does not know
IMAGE_TOOLS = frozenset({"mmdebstrap", "gpg", "mke2fs", "cpio", "chroot"})
OPTIONAL_TOOLS = frozenset({"ssh"})
"""What only a command for people needs: `vdc ssh`."""

FABRIC_FEATURES = frozenset({"bridge", "veth"})
SERVER_FEATURES = frozenset({"bridge", "veth", "tun"})

_GUEST_OVERHEAD = 160 * MIB  # QEMU itself, and the translated code of an emulated guest
_ROUTER_MEMORY = 8 * MIB  # a BIRD and its namespace
_IMAGE_SIZE = 3 * GIB  # the folder and the disk made from it, while an image is built


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What a host has. Sizes are bytes; `features` are the kinds of link its kernel makes.

    `namespaces` are the names of all network namespaces, `owned` the instances that vdc knows of, `images`
    the releases whose image is complete in the cache.
    """

    tools: frozenset[str]
    features: frozenset[str]
    memory_available: int
    state_free: int
    cache_free: int
    namespaces: frozenset[str]
    owned: frozenset[str]
    images: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a plan takes. Sizes are bytes; `state` and `cache` are disk space in those directories."""

    tools: frozenset[str]
    features: frozenset[str]
    memory: int
    state: int
    cache: int


def needs(plan: Plan, *, images: frozenset[str]) -> Needs:
    """Return what a plan takes on a host that has these images."""
    guests = [item for item in plan.resources if isinstance(item, Domain)]
    routers = sum(isinstance(item, Bird) for item in plan.resources)
    to_build = {item.image for item in plan.resources if isinstance(item, Overlay)} - images
    return Needs(
        tools=FABRIC_TOOLS | (SERVER_TOOLS if guests else frozenset()) | (IMAGE_TOOLS if to_build else frozenset()),
        features=SERVER_FEATURES if guests else FABRIC_FEATURES,
        memory=plan.memory + len(guests) * _GUEST_OVERHEAD + routers * _ROUTER_MEMORY,
        state=plan.disk,
        cache=len(to_build) * _IMAGE_SIZE,
    )


def lacks(plan: Plan, host: HostFacts) -> tuple[str, ...]:
    """Return everything this host lacks to hold the plan, a sentence each; empty if it can."""
    wanted = needs(plan, images=host.images)
    return (
        *(f"{tool} is missing: install the package {PACKAGES[tool]}" for tool in sorted(wanted.tools - host.tools)),
        *(f"the kernel makes no {feature}" for feature in sorted(wanted.features - host.features)),
        *_too_little("memory", wanted.memory, host.memory_available),
        *_too_little("disk for data centres", wanted.state, host.state_free),
        *_too_little("disk for images", wanted.cache, host.cache_free),
        *_clashes(plan, host),
    )


def check(plan: Plan, settings: Settings) -> None:
    """Raise HostError naming everything this host lacks to hold the plan; nothing was touched then."""
    host = gather(settings)
    found = lacks(plan, host)
    if not found:
        return
    raise HostError(
        "\n  - ".join((f"this host cannot hold {plan.instance}:", *found)),
        hint=install_hint(needs(plan, images=host.images).tools - host.tools),
    )


def install_hint(tools: Iterable[str]) -> str | None:
    """Return the command that installs the packages of the tools, or None if there are none."""
    packages = sorted({PACKAGES[tool] for tool in tools})
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else None


def gather(settings: Settings) -> HostFacts:
    """Ask the host. Needs root to ask the kernel what links it makes; without, it counts as making none."""
    from vdc.host.images import complete

    tools = frozenset(tool for tool in PACKAGES if find(tool))
    return HostFacts(
        tools=tools,
        features=frozenset(_features(tools)),
        memory_available=available_memory(Path("/proc/meminfo").read_text(encoding="utf-8")),
        state_free=_free(settings.state_dir),
        cache_free=_free(settings.cache_dir),
        namespaces=frozenset(_names(Path("/run/netns"))),
        owned=frozenset(_names(settings.state_dir)),
        images=frozenset(name for name, image in IMAGES.items() if complete(image, settings.cache_dir)),
    )


def available_memory(meminfo: str) -> int:
    """Return the bytes of memory that can be taken without swapping: MemAvailable of proc(5) meminfo."""
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    raise HostError("/proc/meminfo has no MemAvailable: this kernel is older than 3.14")


def _too_little(what: str, wanted: int, there: int) -> Iterator[str]:
    if wanted > there:
        yield f"too little {what}: needs {wanted // MIB} MiB, {there // MIB} MiB are free"


def _clashes(plan: Plan, host: HostFacts) -> Iterator[str]:
    if plan.instance in host.owned:
        return
    for item in plan.resources:
        if isinstance(item, Namespace) and item.name in host.namespaces:
            yield f"a network namespace {item.name} exists and is not vdc's: choose another --name"


def _features(tools: frozenset[str]) -> Iterator[str]:
    """Yield the kinds of link the kernel makes: each is tried in a namespace that ends with the command.

    Without the tools to ask, the kernel has the benefit of the doubt: that they are missing is told anyway.
    """
    if os.access("/dev/net/tun", os.R_OK | os.W_OK):
        yield "tun"
    if not {"ip", "unshare"} <= tools:
        yield from FABRIC_FEATURES
        return
    for kind in sorted(FABRIC_FEATURES):
        tried = ["unshare", "--net", "--", "ip", "link", "add", "probe0", "type", kind]
        if run(tried, timeout=10, check=False).status == 0:
            yield kind


def _free(directory: Path) -> int:
    """Return the free bytes of the file system where `directory` is or will be."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(there).free


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()] if directory.is_dir() else []
