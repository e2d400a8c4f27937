"""Rules of room: every prefix has an address for each thing that takes one from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vdc.model import addressing
from vdc.model.checks.base import Finding, Survey, tors_of
from vdc.model.checks.pools import pool, sections, segments_used
from vdc.model.expand.shape import Pools
from vdc.model.expand.shares import POD, Shares
from vdc.model.ip import Prefix
from vdc.model.spec import EXPOSED
from vdc.model.topology import Tier
from vdc.model.yamltree import Path

_SEGMENTS: Final = ("segment", "pod")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """So many numbers of a pool, up to the largest that is given out."""

    count: int
    what: str


def big_pools(survey: Survey) -> Iterator[Finding]:
    """Every pool reaches to the last number that is given out."""
    needs = _needs(survey)
    for key, pools, name in ((key, pools, name) for key, pools in sections(survey) for name in needs):
        prefix, need = pool(pools, name), needs[name]
        if prefix is not None and need.count:
            has = _room(pools, name, prefix)
            if has < need.count:
                message = f"{prefix} is too small: it has {has} {need.what}{_unit(pools, name, prefix)}"
                because = ((key, f"{name}_length"),) if name in _SEGMENTS else ()
                yield Finding(path=(key, name), message=f"{message}, {need.count} are needed", because=because)


def _needs(survey: Survey) -> Mapping[str, _Need]:
    spec, servers = survey.spec, survey.server_numbers
    guests = survey.guests
    segments = sum(rack.laid.tors for rack in survey.racks) if segments_used(survey) else 0
    clients = {name: getattr(spec, name).clients + guests[name] for name in (addressing.EXTERNAL, addressing.OPERATION)}
    outside = {name: count and spec.fabric.borders + count for name, count in clients.items()}
    taken = _taken(survey)
    return {
        "link": _Need(count=_links(survey), what="links"),
        "loopback": _Need(count=_loopbacks(survey), what="loopbacks"),
        "segment": _Need(count=segments, what="segments"),
        "node": _Need(count=servers, what="node addresses"),
        "external": _Need(count=outside["external"], what="addresses"),
        "operation": _Need(count=outside["operation"], what="addresses"),
        "oob": _Need(count=_oob(survey, servers), what="addresses"),
        "internet": _Need(count=2 if spec.internet.nat else 0, what="addresses"),
        "pod": _Need(count=taken[POD], what="blocks"),
        **{name: _Need(count=taken[name], what="addresses") for name in EXPOSED},
    }


def _links(survey: Survey) -> int:
    """Return how many link numbers are given out from both ends of the pool."""
    if survey.fabric.links == "unnumbered" or not survey.shape.cables:
        return 0
    room = survey.shape.uplink_room
    inner = {(spot.tier, spot.number) for _, spot, _ in survey.shape.cables}
    return _tors(inner) * room[True] + _from_the_end(survey, inner) * room[False]


def _loopbacks(survey: Survey) -> int:
    routers = {(spot.tier, spot.number) for spot in survey.shape.spots}
    return _tors(routers) + _from_the_end(survey, routers)


def _tors(routers: Collection[tuple[Tier, int]]) -> int:
    """Return how many numbers at the start of a pool are those of ToRs."""
    return sum(tier is Tier.TOR for tier, _ in routers)


def _from_the_end(survey: Survey, routers: Collection[tuple[Tier, int]]) -> int:
    """Return how many numbers at the end of a pool are those of other routers, of the fabric and beside it."""
    others = [(tier, number) for tier, number in routers if tier is not Tier.TOR]
    others += [(Tier.ROUTER, number) for number, _ in enumerate(survey.shape.routers_beside)]
    return 1 + max((addressing.from_the_end(tier, number) for tier, number in others), default=-1)


def _taken(survey: Survey) -> Counter[str]:
    """Return for each pool of what servers announce how many numbers are given out."""
    shares = Shares(survey.shape)
    last: Counter[str] = Counter()
    if shares.rooms:
        for rack in survey.racks:
            for numbers in shares.numbers(rack.laid).values():
                last |= Counter({name: each.stop for name, each in numbers.items()})
    return last


def _oob(survey: Survey, servers: int) -> int:
    guests, clients = survey.guests[addressing.OOB], survey.spec.operation.clients
    if survey.spec.oob.servers and servers:
        return addressing.oob_server_position(servers - 1) + guests
    return clients + guests if guests else 0


def _room(pools: Pools, name: str, prefix: Prefix) -> int:
    if name == "link":
        return addressing.link_capacity(prefix)
    if name in _SEGMENTS:
        length = pools.segment_length if name == "segment" else pools.pod_length
        return addressing.segment_capacity(prefix, length)
    if name in {addressing.EXTERNAL, addressing.OPERATION}:
        return max(0, addressing.last_position(prefix))
    return addressing.host_capacity(prefix)


def _unit(pools: Pools, name: str, prefix: Prefix) -> str:
    lengths = {
        "link": prefix.max_prefixlen - 1,
        "loopback": prefix.max_prefixlen,
        "node": prefix.max_prefixlen,
        "segment": pools.segment_length,
        "pod": pools.pod_length,
    }
    return f" (/{lengths[name]})" if name in lengths else ""


def big_segments(survey: Survey) -> Iterator[Finding]:
    """The segment of a ToR has an address for it, for each server of its rack, and for each device on it."""
    guests = survey.guests
    for key, pools in sections(survey):
        length = pools.segment_length
        room = (1 << (pools.segment.max_prefixlen - length)) - 2
        for entry in survey.entries:
            needed = 1 + len(entry.laid.places) + max((guests[name] for name in tors_of(entry)), default=0)
            if entry.laid.places and room < needed:
                yield Finding(
                    path=(*entry.path, "servers"),
                    message=f"a segment of /{length} has {room} addresses; ToR and servers need {needed}",
                    because=((key, "segment_length"),),
                )


def big_networks(survey: Survey) -> Iterator[Finding]:
    """A flat network has an address for each device on it."""
    guests = survey.guests
    for name, network in survey.spec.networks.items():
        for number, prefix in enumerate(network.prefixes):
            has, needed = addressing.host_capacity(prefix), guests[name]
            if has < needed:
                path: Path = ("networks", name, "prefixes", number)
                message = f"{prefix} is too small: it has {has} addresses, {needed} are needed"
                yield Finding(path=path, message=message, because=(("devices",),))
