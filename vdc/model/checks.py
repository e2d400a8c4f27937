"""The rules of a topology that reach over fields. Each is a pure function from spec to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Final

from vdc.model import addressing
from vdc.model.spec import POOLS, RELEASES, TopologySpec
from vdc.model.topology import Tier
from vdc.model.yamltree import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule: shown at `path`; it follows from the values at `path` and at each of `because`."""

    path: Path
    message: str
    because: tuple[Path, ...] = ()


def suggest(word: str, known: Sequence[str]) -> str:
    """Return what to say after an unknown word: `; did you mean "racks"?`, or which words there are."""
    if close := get_close_matches(word, known, n=1):
        return f'; did you mean "{close[0]}"?'
    return f"; there are {', '.join(known)}" if known else ""


def known_release(spec: TopologySpec) -> Iterator[Finding]:
    """The release is one that has an image."""
    if spec.release not in RELEASES:
        yield Finding(path=("release",), message=f'unknown release "{spec.release}"{suggest(spec.release, RELEASES)}')


def known_roles(spec: TopologySpec) -> Iterator[Finding]:
    """Every role that a rack names is defined."""
    for number, rack in enumerate(spec.racks):
        for role in rack.servers:
            if role not in spec.roles:
                yield Finding(
                    path=("racks", number, "servers", role),
                    message=f'unknown role "{role}"{suggest(role, tuple(spec.roles))}',
                    because=(("roles", role), ("roles",)),
                )


def separate_pools(spec: TopologySpec) -> Iterator[Finding]:
    """No two pools overlap."""
    for first, second in combinations(POOLS, 2):
        one, other = getattr(spec.pools, first), getattr(spec.pools, second)
        if one.overlaps(other):
            yield Finding(
                path=("pools", second),
                message=f"{other} overlaps with the pool {first}, {one}",
                because=(("pools", first),),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    pool: str
    has: int
    needs: int
    what: str


def big_pools(spec: TopologySpec) -> Iterator[Finding]:
    """Every pool has an address for each thing that takes one from it."""
    for need in _needs(spec):
        if need.has < need.needs:
            pool = getattr(spec.pools, need.pool)
            yield Finding(
                path=("pools", need.pool),
                message=f"{pool} is too small: it has {need.has} {need.what}, {need.needs} are needed",
                because=(("pools", "segment_length"),) if need.pool == "segment" else (),
            )


def _needs(spec: TopologySpec) -> Iterator[_Need]:
    fabric, pools, racks = spec.fabric, spec.pools, spec.rack_servers()
    tors = fabric.tors * len(racks)
    routers = fabric.borders + fabric.spines + tors
    links = fabric.spines * (fabric.borders + tors)
    segments = addressing.segment_capacity(pools.segment, pools.segment_length)
    external = addressing.host_capacity(pools.external)
    servers = sum(sum(rack.values()) for rack in racks)
    clients = spec.external.clients
    yield _Need(pool="link", has=addressing.link_capacity(pools.link), needs=links, what="links (/31)")
    yield _Need(pool="loopback", has=addressing.host_capacity(pools.loopback), needs=routers, what="loopbacks (/32)")
    if servers:
        yield _Need(pool="segment", has=segments, needs=tors, what=f"segments (/{pools.segment_length})")
        yield _Need(pool="node", has=addressing.host_capacity(pools.node), needs=servers, what="node addresses (/32)")
    if clients:
        yield _Need(pool="external", has=external, needs=fabric.borders + clients, what="addresses")


def big_segments(spec: TopologySpec) -> Iterator[Finding]:
    """The segment of a ToR has an address for it and for each server of its rack."""
    length = spec.pools.segment_length
    room = (1 << (32 - length)) - 2
    for number, rack in enumerate(spec.racks):
        needed = 1 + sum(rack.servers.values())
        if room < needed:
            yield Finding(
                path=("racks", number, "servers"),
                message=f"a segment of /{length} has {room} addresses; ToR and servers need {needed}",
                because=(("pools", "segment_length"),),
            )


def private_asns(spec: TopologySpec) -> Iterator[Finding]:
    """Every AS number is private (RFC 6996), and no two kinds of device share one."""
    used = {
        "border": range(spec.asn.border, spec.asn.border + 1),
        "spine": range(spec.asn.spine, spec.asn.spine + 1),
        "tor": range(spec.asn.tor, spec.asn.tor + spec.fabric.tors * len(spec.rack_servers())),
        "server": range(spec.asn.server, spec.asn.server + _count_servers(spec)),
    }
    private = addressing.PRIVATE_ASNS
    for kind, asns in used.items():
        if asns and (asns[0] not in private or asns[-1] not in private):
            message = f"{_show(asns)} is not within the private AS numbers {_show(private)} (RFC 6996)"
            yield Finding(path=("asn", kind), message=message)
    for (one, first), (other, second) in combinations(used.items(), 2):
        if max(first.start, second.start) < min(first.stop, second.stop):
            message = f"{_show(second)} overlaps with the AS numbers of {one}, {_show(first)}"
            yield Finding(path=("asn", other), message=message, because=(("asn", one),))


def _count_servers(spec: TopologySpec) -> int:
    return sum(group.count * sum(group.servers.values()) for group in spec.racks)


def _show(asns: range) -> str:
    return str(asns[0]) if len(asns) == 1 else f"{asns[0]}-{asns[-1]}"


def good_names(spec: TopologySpec) -> Iterator[Finding]:
    """Every device has its own name, and no interface named after one is longer than the kernel takes."""
    seen = set(_router_names(spec))
    if too_long := _too_long(addressing.leg_name(name) for name in seen):
        yield Finding(path=("racks",), message=too_long)
    first = 0
    for number, group in enumerate(spec.racks):
        racks = range(first, first := first + group.count)
        for role, count in group.servers.items():
            names = [addressing.server_name(rack, role, index) for rack in racks for index in range(count)]
            path = ("racks", number, "servers", role)
            if clash := next((name for name in names if name in seen), None):
                yield Finding(path=path, message=f'duplicate name "{clash}": another device has it already')
            if too_long := _too_long(addressing.tap_name(name, spec.fabric.tors - 1) for name in names):
                yield Finding(path=path, message=too_long)
            seen.update(names)


def _router_names(spec: TopologySpec) -> Iterator[str]:
    fabric = spec.fabric
    yield from (addressing.router_name(Tier.BORDER, index) for index in range(fabric.borders))
    yield from (addressing.router_name(Tier.SPINE, index) for index in range(fabric.spines))
    for rack in range(len(spec.rack_servers())):
        yield from (addressing.router_name(Tier.TOR, index, rack=rack) for index in range(fabric.tors))


def _too_long(interfaces: Iterable[str]) -> str | None:
    longest = max(interfaces, key=lambda name: (len(name), name), default="")
    if len(longest) <= addressing.IFNAMSIZ:
        return None
    return f'the interface name "{longest}" is longer than {addressing.IFNAMSIZ} characters'


CHECKS: Final[tuple[Callable[[TopologySpec], Iterable[Finding]], ...]] = (
    known_release,
    known_roles,
    separate_pools,
    big_pools,
    big_segments,
    private_asns,
    good_names,
)
"""All of them, in no particular order."""
