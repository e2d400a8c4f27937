"""BGP as messages: every device sends what it has to its neighbours until nobody has news. Slow, and simple to believe.

Written after the RFCs and not after `vdc.model.spread`, which it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vdc.model.ip import Address, Prefix
from vdc.model.routing import Speaker, speakers
from vdc.model.topology import Router, Server, Session, Topology


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A route as it came in: the AS path, the next hop, whether over an internal session, and from whom."""

    path: tuple[int, ...]
    next_hop: Address
    internal: bool
    router_id: int
    peer: str

    @property
    def merit(self) -> tuple[int, bool]:
        """Routes that are alike in this are used together; the least is best (RFC 4271, 9.1.2.2)."""
        return len(self.path), self.internal


Tables = dict[str, dict[str, Heard]]


def settled(topology: Topology, prefix: Prefix) -> Mapping[str, frozenset[Address]]:
    """Return the next hops of a prefix at each device that learned it."""
    devices = {speaker.name: speaker for speaker in speakers(topology)}
    tables: Tables = {name: {} for name in devices}
    while True:
        news = {name: dict(_hears(devices, tables, speaker, prefix)) for name, speaker in devices.items()}
        if news == tables:
            break
        tables = news
    return {
        name: frozenset(each.next_hop for each in table.values() if each.merit == min(h.merit for h in table.values()))
        for name, table in tables.items()
        if table and prefix not in own(devices[name])
    }


def own(speaker: Speaker) -> set[Prefix]:
    """What a device announces of itself."""
    if isinstance(speaker, Server):
        return {*(each.network for each in (*speaker.nodes, *speaker.announces)), *speaker.pods}
    return {*(each.network for each in speaker.loopbacks), *speaker.originates}


def _hears(
    devices: Mapping[str, Speaker], tables: Tables, hearer: Speaker, prefix: Prefix
) -> Iterator[tuple[str, Heard]]:
    for session in hearer.sessions:
        teller = devices[session.peer_device]
        (back,) = (each for each in teller.sessions if each.peer_device == hearer.name)
        told = _tells(devices, tables[teller.name], teller, back, prefix)
        if told is None:
            continue
        path, kept = told
        if session.internal is False:
            path = (teller.asn, *path)
        if hearer.asn in path:
            continue
        next_hop = kept if kept is not None else session.next_hop(prefix.version)
        yield (
            teller.name,
            Heard(
                path=path,
                next_hop=next_hop,
                internal=session.internal,
                router_id=int(teller.router_id),
                peer=teller.name,
            ),
        )


def _tells(
    devices: Mapping[str, Speaker], table: Mapping[str, Heard], teller: Speaker, session: Session, prefix: Prefix
) -> tuple[tuple[int, ...], Address | None] | None:
    """What a device says of the prefix over a session: the path without itself, and the next hop if not its own."""
    if session.exposed:
        return ((), None) if isinstance(teller, Router) and prefix in teller.aggregates else None
    if prefix in own(teller):
        return (), None
    if isinstance(teller, Server) or not table:
        return None
    best = min(table.values(), key=lambda each: (*each.merit, each.router_id))
    if best.peer == session.peer_device:
        return None
    reflected = best.internal and session.internal
    return best.path, best.next_hop if reflected else None


def prefixes(topology: Topology) -> set[Prefix]:
    """Return everything that somebody announces."""
    found = {prefix for speaker in speakers(topology) for prefix in own(speaker)}
    return found | {prefix for router in topology.routers for prefix in router.aggregates}
