"""How a running data centre gets from one plan to another: what it must not become, and what it is in between.

Nothing that others depend on is taken away before they have been told to do without it. So in between there is
everything that forwards, of the old and of the new; then what leaves is drained: it still forwards, but nobody is told
of its routes any more, as with a graceful shutdown of BGP sessions (RFC 8326). Nobody depends on a server that leaves:
it goes first, and its addresses are free for those that move up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Final, TypeVar

from vdc.model.topology import End, External, Router, Segment, Session, Tier, Topology
from vdc.plan.diff import WHOLE, Diff
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.network import Bridge, DefaultRoute, Impairment, Plug, Tap, Veth
from vdc.plan.resources.processes import Bird

T = TypeVar("T")

_IN_PLACE: Final[Mapping[type[Resource], frozenset[str]]] = MappingProxyType(
    {
        Bridge: frozenset({"mtu"}),
        Tap: frozenset({"mtu"}),
        DefaultRoute: frozenset({"gateways", "after"}),
        Impairment: frozenset({"delay", "jitter", "loss", "rate", "after"}),
        Bird: frozenset({"config"}),
        ConfigDisk: frozenset({"files"}),
    }
)
"""The fields of each kind of resource that can change while it is in use."""

_FIXED: Final = frozenset({"name", "family"})
"""What of a data centre reaches into every device: MACs come from the name."""

_NUMBERS: Final = frozenset({"asn", "router_id", "loopbacks"})
"""What a router is known by to all others: with another number it is another router, which would forget everything."""


_TRANSIT: Final = (Tier.SPINE, Tier.SUPERSPINE, Tier.BORDER, Tier.TOR, Tier.ROUTER)


def refusals(found: Diff) -> tuple[str, ...]:
    """Return everything that cannot change while a data centre runs, each with what differs."""
    if fixed := fixed_changes(found):
        return fixed
    told: dict[str, list[str]] = {}
    stuck: dict[str, str] = {}
    for each in found.of("changed"):
        told.setdefault(each.name, []).extend(map(str, each.fields))
        if each.kind in tuple(Tier) and any(field.field in _NUMBERS for field in each.fields):
            stuck[each.name] = "is renumbered"
    for old, new in found.changed:
        if not _is_in_place(old, new):
            stuck.setdefault(owner(new), f"{new.id} differs")
    return tuple(f"{name}: {'; '.join(told.get(name, [what]))}" for name, what in stuck.items())


def fixed_changes(found: Diff) -> tuple[str, ...]:
    """Return what differs of that which reaches into every device."""
    whole = (field for each in found.of("changed") if each.kind == WHOLE for field in each.fields)
    return tuple(str(field) for field in whole if field.field in _FIXED)


def _is_in_place(old: Resource, new: Resource) -> bool:
    if isinstance(old, Veth) and isinstance(new, Veth):
        return all(_differing(*ends) <= {"mtu"} for ends in ((old.a, new.a), (old.b, new.b)))
    return _differing(old, new) <= _IN_PLACE.get(type(new), frozenset())


def _differing(old: Resource | Plug, new: Resource | Plug) -> set[str]:
    return {each.name for each in fields(new) if getattr(old, each.name) != getattr(new, each.name)}


def owner(resource: Resource) -> str:
    """Return the name of the device, link or network that a resource belongs to."""
    match resource:
        case Bird(router=name) | Bridge(name=name):
            return name
        case Tap(name=name) | Impairment(interface=name) if "." in name:
            return name.rpartition(".")[0]
        case Veth(a=a, b=b):
            return b.bridge or " to ".join((_end(a, b), _end(b, a)))
        case _:
            device = getattr(resource, "netns", "").partition(".")[2]
            return str(getattr(resource, "server", device) or resource.id)


def _end(near: Plug, far: Plug) -> str:
    device, peer = near.netns.partition(".")[2], far.netns.partition(".")[2]
    return device if near.name == peer else f"{device}:{near.name}"


def union(old: Topology, new: Topology) -> Topology:
    """Return everything that is in either topology but servers that leave; what is in both is as in the new one."""
    kept = _without_servers(old, {server.name for server in old.servers} - {server.name for server in new.servers})
    return replace(
        new,
        routers=_merged(kept.routers, new.routers, lambda router: router.name, _union_router),
        externals=_merged(kept.externals, new.externals, lambda client: client.name, _union_client),
        links=_merged(kept.links, new.links, lambda link: (_key(link.a), _key(link.b))),
        segments=_merged(kept.segments, new.segments, lambda segment: segment.name, _union_segment),
        internet=new.internet or old.internet,
    )


def _without_servers(topology: Topology, names: Collection[str]) -> Topology:
    def without(router: Router) -> Router:
        return replace(router, sessions=tuple(each for each in router.sessions if each.peer_device not in names))

    def unplugged(segment: Segment) -> Segment:
        return replace(segment, ports=tuple(port for port in segment.ports if port.device not in names))

    return replace(
        topology,
        routers=tuple(map(without, topology.routers)),
        servers=tuple(server for server in topology.servers if server.name not in names),
        segments=tuple(map(unplugged, topology.segments)),
    )


def drained(topology: Topology, left: Topology) -> Topology:
    """Return a topology in which nobody is told of ways over what is not in `left`, though it is all still there."""
    stays = {router.name for router in left.routers} | {server.name for server in left.servers}
    kept = {_wire(session) for router in left.routers for session in router.sessions}

    def quiet(session: Session) -> Session:
        # what stays tells what leaves all the same: it still forwards
        return replace(session, drained=session.peer_device in stays and _wire(session) not in kept)

    routers = tuple(replace(router, sessions=tuple(map(quiet, router.sessions))) for router in topology.routers)
    return replace(topology, routers=routers)


def quieted(topology: Topology, name: str) -> Topology:
    """Return a topology in which a router tells nobody anything, so that nothing is sent through it."""

    def hushed(router: Router) -> Router:
        if router.name != name:
            return router
        return replace(router, sessions=tuple(replace(session, drained=True) for session in router.sessions))

    return replace(topology, routers=tuple(map(hushed, topology.routers)))


def impairments(found: Diff, old: Topology, new: Topology) -> Mapping[str, Sequence[Impairment]]:
    """Return what differs in what links that stay do to packets, by the router that is drained meanwhile.

    The kernel drops what is on its way when an interface gets another queue. Of the two ends that router is taken which
    is more surely on the way of others only: a spine before a super-spine before a router at the edge.
    """
    tiers = {router.name: _TRANSIT.index(router.tier) for router in new.routers}
    before = {(_key(link.a), _key(link.b)) for link in old.links}
    wires = {
        end: min((link.a.device, link.b.device), key=lambda name: tiers[name])
        for link in new.links
        for end in (_key(link.a), _key(link.b))
        if (_key(link.a), _key(link.b)) in before
    }
    differ: dict[str, list[Impairment]] = {}
    for each in (*found.removed, *found.added, *(after for _, after in found.changed)):
        if isinstance(each, Impairment) and (router := wires.get((each.netns.partition(".")[2], each.interface))):
            differ.setdefault(router, []).append(each)
    return differ


def _merged(
    old: Iterable[T],
    new: Iterable[T],
    key: Callable[[T], object],
    both: Callable[[T, T], T] = lambda _, after: after,
) -> tuple[T, ...]:
    """Return what is in either; `both` merges what is in both."""
    before = {key(each): each for each in old}
    after = {key(each): each for each in new}
    merged = [both(before[name], each) if name in before else each for name, each in after.items()]
    return (*merged, *(each for name, each in before.items() if name not in after))


def _union_router(old: Router, new: Router) -> Router:
    return replace(
        new,
        interfaces=_merged(old.interfaces, new.interfaces, _key),
        sessions=_merged(old.sessions, new.sessions, _wire),
        originates=_merged(old.originates, new.originates, str),
        aggregates=_merged(old.aggregates, new.aggregates, str),
    )


def _union_client(old: External, new: External) -> External:
    return replace(
        new,
        gateways=_merged(old.gateways, new.gateways, str),
        further=_merged(old.further, new.further, _key),
    )


def _union_segment(old: Segment, new: Segment) -> Segment:
    return replace(new, ports=_merged(old.ports, new.ports, _key))


def _key(end: End) -> tuple[str, str]:
    return end.device, end.interface


def _wire(session: Session) -> tuple[str, str, str]:
    return session.device, session.interface, session.peer_device
