"""BGP sessions: over every link, and between a ToR and the servers of its rack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vdc.model.ip import Address
from vdc.model.topology import End, Link, Router, Segment, SegmentKind, Server, Session, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaking:
    """An end of a wire over which its device speaks BGP; a server has no `tier`."""

    device: str
    interface: str
    addresses: tuple[Address, ...]
    asn: int
    tier: Tier | None


def speaking(end: End, asn: int, tier: Tier | None) -> Speaking:
    """Return an end as one that speaks, from its addresses or from the link-local one that it has instead."""
    addresses = tuple([address.ip for address in end.addresses])
    if not addresses and end.link_local is not None:
        addresses = (end.link_local,)
    return Speaking(device=end.device, interface=end.interface, addresses=addresses, asn=asn, tier=tier)


def session(near: Speaking, far: Speaking, *, exposed: bool = False) -> Session:
    """Return the session of `near` with `far`; `exposed` if borders may learn nothing but aggregates."""
    return Session(
        device=near.device,
        interface=near.interface,
        local=near.addresses[0],
        peer_device=far.device,
        peer=far.addresses[0],
        peer_asn=far.asn,
        peer_is_server=far.tier is None,
        next_hops=far.addresses,
        internal=near.asn == far.asn,
        exposed=exposed and far.tier is Tier.BORDER and near.tier not in (Tier.BORDER, Tier.ROUTER),
    )


def router_sessions(
    links: Iterable[Link],
    segments: Iterable[Segment],
    routers: Mapping[str, Router],
    servers: Iterable[Server],
    *,
    exposed: bool,
) -> Mapping[str, list[Session]]:
    """Return the sessions of each router that has any, in the order of its cables."""
    found: dict[str, list[Session]] = {}
    for link in links:
        one, other = (speaking(end, routers[end.device].asn, routers[end.device].tier) for end in (link.a, link.b))
        found.setdefault(one.device, []).append(session(one, other, exposed=exposed))
        found.setdefault(other.device, []).append(session(other, one, exposed=exposed))
    asns = {server.name: server.asn for server in servers if server.sessions}
    for segment in segments:
        if segment.kind is SegmentKind.SERVERS:
            found.setdefault(segment.name, []).extend(_with_servers(segment, routers[segment.name], asns))
    return found


def _with_servers(segment: Segment, tor: Router, asns: Mapping[str, int]) -> Iterator[Session]:
    first, *others = segment.ports
    near = speaking(first, tor.asn, tor.tier)
    for end in others:
        if end.device in asns:
            yield session(near, speaking(end, asns[end.device], None))
