"""Can this host hold the plan? Asked before anything is touched, and answered with all that lacks at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from vdc.errors import HostError
from vdc.host import impairments, ledger, places
from vdc.host.ledger import Ledger
from vdc.plan.images import IMAGES
from vdc.plan.plan import ROOT_GROWTH, Plan, disk_of
from vdc.plan.resources.disks import Overlay, SeedDisk
from vdc.plan.resources.network import Impairment, Namespace, Nat
from vdc.plan.resources.processes import Domain
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
        "tc": "iproute2",
        "nft": "nftables",
        "bird": "bird2",
        "birdc": "bird2",
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "libvirtd": "libvirt-daemon",
        "mke2fs": "e2fsprogs",
        "mmdebstrap": "mmdebstrap",
        "cpio": "cpio",
        "tar": "tar",
        "gpg": "gpg",
        "chroot": "coreutils",
        "ssh": "openssh-client",
        "xorrisofs": "xorriso",
    }
)
"""Every tool that vdc starts, and the package of Debian and Ubuntu that has it."""

FABRIC_TOOLS = frozenset({"ip", "nsenter", "unshare", "setpriv", "setsid", "ping", "bird", "birdc"})
SERVER_TOOLS = frozenset({"qemu-system-x86_64", "qemu-img", "libvirtd", "mount", "mke2fs"})
# without gpg, mmdebstrap does not find out which key signed a suite that the host's own apt does not know
IMAGE_TOOLS = frozenset({"mmdebstrap", "gpg", "mke2fs", "cpio", "chroot", "tar"})
SEED_TOOLS = frozenset({"xorrisofs"})
QUEUE_TOOLS = frozenset({"tc"})
FILTER_TOOLS = frozenset({"nft"})
OPTIONAL_TOOLS = frozenset({"ssh", *SEED_TOOLS, *QUEUE_TOOLS, *FILTER_TOOLS})
"""What only a command for people needs (`vdc ssh`), or few topologies: cloud-init's seed, slow or lossy links, NAT."""

FABRIC_FEATURES = frozenset({"bridge", "veth"})
SERVER_FEATURES = frozenset({"bridge", "veth", "tun"})

FLOOR = 256 * MIB
"""How many bytes of disk must be free for a running data centre to go on."""

_IMAGE_SIZE = 3 * GIB  # the folder and the disk made from it, while an image is built
_SOURCE_SIZE = 6 * GIB  # the folder in which a component is built from source


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What a host has. `features` are the kinds of link its kernel makes, `cache_free` bytes in the cache.

    `ledger` is what data centres may still take and have. `namespaces` are the names of all network namespaces, `owned`
    the instances that vdc knows of, `images` the releases whose image is complete in the cache, `built` the digests of
    the sources that were built.
    """

    tools: frozenset[str]
    features: frozenset[str]
    ledger: Ledger
    cache_free: int
    namespaces: frozenset[str]
    owned: frozenset[str]
    images: frozenset[str]
    built: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a plan takes besides its share of the ledger; `cache` is bytes of disk in the cache."""

    tools: frozenset[str]
    features: frozenset[str]
    cache: int


def needs(plan: Plan, *, images: frozenset[str], built: frozenset[str] = frozenset()) -> Needs:
    """Return what a plan takes on a host that has these images, and has built these sources."""
    guests = any(isinstance(item, Domain) for item in plan.resources)
    seeds = any(isinstance(item, SeedDisk) for item in plan.resources)
    to_build = ({item.image for item in plan.resources if isinstance(item, Overlay)} & set(IMAGES)) - images
    wires = [item for item in plan.resources if isinstance(item, Impairment)]
    filters = any(isinstance(item, Nat) for item in plan.resources) or any(wire.loss for wire in wires)
    optional = (
        (SERVER_TOOLS, guests),
        (SEED_TOOLS, seeds),
        (IMAGE_TOOLS, to_build),
        (QUEUE_TOOLS, wires),
        (FILTER_TOOLS, filters),
    )
    return Needs(
        tools=FABRIC_TOOLS.union(*(tools for tools, wanted in optional if wanted)),
        features=SERVER_FEATURES if guests else FABRIC_FEATURES,
        cache=len(to_build) * _IMAGE_SIZE + len(_sources(to_build) - built) * _SOURCE_SIZE,
    )


def lacks(plan: Plan, host: HostFacts) -> tuple[str, ...]:
    """Return everything this host lacks to hold the plan, a sentence each; empty if it can."""
    wanted = needs(plan, images=host.images, built=host.built)
    return (
        *(f"{tool} is missing: install the package {PACKAGES[tool]}" for tool in sorted(wanted.tools - host.tools)),
        *(f"the kernel makes no {feature}" for feature in sorted(wanted.features - host.features)),
        *ledger.lacks(ledger.wants(plan), host.ledger),
        *_too_little("disk for images", wanted.cache, host.cache_free),
        *_clashes(plan, host),
    )


def check(plan: Plan, settings: Settings) -> None:
    """Raise HostError naming everything this host lacks to hold the plan; nothing was touched then.

    What other data centres have is not lacking where a start waits for it.
    """
    host = gather(settings)
    others = host.ledger.without(plan.instance)
    host = replace(host, ledger=others.emptied() if settings.admission_wait else others)
    found = (
        *lacks(plan, host),
        *_over_quota(plan, settings),
        *places.lacks(plan, owned=plan.instance in host.owned),
        *impairments.lacks(plan.resources),
    )
    if not found:
        return
    raise HostError(
        "\n  - ".join((f"this host cannot hold {plan.instance}:", *found)),
        hint=install_hint(needs(plan, images=host.images).tools - host.tools)
        or ledger.hint(ledger.wants(plan), host.ledger),
    )


def expect_room(settings: Settings, needed: int = FLOOR) -> None:
    """Raise HostError if fewer than `needed` bytes are free where data centres or checkpoints are."""
    for directory in (settings.state_dir, settings.cache_dir):
        if (free := _free(directory)) < needed:
            raise HostError(
                f"disk full: {free // MIB} MiB are free in {directory}, {needed // MIB} MiB are needed",
                hint="`vdc checkpoint rm NAME TAG`, `vdc down NAME` and `vdc gc` give some back",
            )


def install_hint(tools: Iterable[str]) -> str | None:
    """Return the command that installs the packages of the tools, or None if there are none."""
    packages = sorted({PACKAGES[tool] for tool in tools})
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else None


def gather(settings: Settings) -> HostFacts:
    """Ask the host. Needs root to ask the kernel what links it makes; without, it counts as making none."""
    from vdc.host.artifacts import built
    from vdc.host.images import complete

    tools = frozenset(tool for tool in PACKAGES if find(tool))
    return HostFacts(
        tools=tools,
        features=frozenset(_features(tools)),
        ledger=ledger.survey(settings),
        cache_free=_free(settings.cache_dir),
        namespaces=frozenset(_names(Path("/run/netns"))),
        owned=frozenset(_names(settings.state_dir)),
        images=frozenset(name for name, image in IMAGES.items() if complete(image, settings.cache_dir)),
        built=frozenset(digest for digest in _sources(IMAGES) if built(digest, settings)),
    )


def _sources(releases: Iterable[str]) -> frozenset[str]:
    """Return the digests of the sources that are built for the images of some releases."""
    components = (each for name in releases if (found := IMAGES[name].release) for each in found.components)
    return frozenset(each.source.digest for each in components if each.source is not None)


def _too_little(what: str, wanted: int, there: int) -> Iterator[str]:
    if wanted > there:
        yield f"too little {what}: needs {wanted // MIB} MiB, {there // MIB} MiB are free"


def _over_quota(plan: Plan, settings: Settings) -> Iterator[str]:
    """Yield that the disks of a plan could grow beyond the quota.

    A guest's disks are sparse, and can never take more than their sizes, which is what bounds them. Nothing but free
    space bounds logs and histories, which are small.
    """
    root = IMAGES[plan.topology.release].size
    most = sum(root - ROOT_GROWTH + disk_of(server) for server in plan.topology.servers)
    if settings.quota is not None and most > settings.quota:
        yield (
            f"over the quota of disk: full disks take {most // MIB} MiB, "
            f"and a data centre may take {settings.quota // MIB} MiB (VDC_QUOTA)"
        )


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
    return shutil.disk_usage(ledger.existing(directory)).free


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()] if directory.is_dir() else []
