"""Flows of numbered packets between racks and from clients outside: which there are, and what became of theirs. Pure.

A flow goes one way, from one device to another, as UDP datagrams that its far end counts, or as ICMP echo requests
whose answers its near end counts. It consists of streams, each of which is numbered by itself and always takes the
same one of several ways of equal cost, so that the loss of one of them is seen as what it is to those whose packets
take it. From the numbers alone follows what was lost, doubled or overtaken; a sender that stood still has sent no
numbers, and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, permutations
from typing import Final, Literal

from vdc.model.ip import Address
from vdc.model.topology import Router, SegmentKind, Server, Tier, Topology
from vdc.observe.ledger import PATIENCE

Protocol = Literal["udp", "icmp"]

PERIOD: Final = 0.01
"""Seconds from one packet of a stream to the next."""

MOST_WAYS: Final = 8
"""Streams that a flow has at most."""

GUEST_PATIENCE: Final = 2.0
"""Seconds after which what a guest answers is lost: it may have to wait for a CPU."""

Hop = tuple[str, str]
"""A device and the interface by which a packet leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """From `source` to `target`, which are names of devices; `far` is the address there, `near` that of the source.

    `between` are the places that it joins: racks by their names, or clients. `patience` in seconds.
    """

    source: str
    target: str
    between: tuple[str, str]
    protocol: Protocol
    near: Address
    far: Address
    patience: float = PATIENCE

    @property
    def name(self) -> str:
        """`SOURCE → TARGET udp`."""
        return f"{self.source} → {self.target} {self.protocol}"

    @property
    def lane(self) -> str:
        """What it is told under together with others: `rack0 ↔ rack1 udp`, or from a client `external → rack0 udp`."""
        a, b = self.between
        return f"{a} {'↔' if a.startswith('rack') else '→'} {b} {self.protocol}"


def flows_of(topology: Topology, *, racks: Collection[int] | None = None) -> tuple[Flow, ...]:
    """Return the flows between every pair of racks, and between each and every client outside that reaches it.

    UDP goes both ways between ToRs with the same place in their racks, each of which is a path of its own. ICMP goes to
    a server of each rack, or where there is none to a ToR. `racks` are those to look at, by default all.
    """
    wanted = [rack for rack in topology.racks if racks is None or rack in racks]
    places = [_Place.of(topology, rack) for rack in wanted]
    found = [flow for one, other in permutations([place for place in places if place.tors], 2)
             for flow in _between(one, other)]  # fmt: skip
    for client, address in _clients(topology):
        for place in (place for place in places if place.tors):
            found += _outside(client, address, place)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    name: str
    number: int
    tors: tuple[Router, ...]
    server: Server | None

    @classmethod
    def of(cls, topology: Topology, rack: int) -> _Place:
        return cls(
            name=f"rack{rack}",
            number=rack,
            tors=tuple(router for router in topology.routers if router.rack == rack),
            server=next((server for server in topology.members if server.rack == rack), None),
        )

    def echoes(self, turn: int) -> tuple[str, Address, float]:
        """Return who answers echo requests, at which address, and within how many seconds."""
        if self.server is not None and self.server.address is not None:
            return self.server.name, self.server.address, GUEST_PATIENCE
        tor = self.tors[turn % len(self.tors)]
        return tor.name, tor.loopback.ip, PATIENCE


def _between(one: _Place, other: _Place) -> Iterator[Flow]:
    between = (one.name, other.name) if one.number < other.number else (other.name, one.name)
    for at in range(max(len(one.tors), len(other.tors))):
        a, b = one.tors[at % len(one.tors)], other.tors[at % len(other.tors)]
        yield Flow(source=a.name, target=b.name, between=between, protocol="udp", near=a.loopback.ip, far=b.loopback.ip)
    turn = one.number + other.number  # so that the ToRs of a rack take turns
    tor = one.tors[turn % len(one.tors)]
    target, far, patience = other.echoes(turn)
    yield Flow(
        source=tor.name, target=target, between=between, protocol="icmp", near=tor.loopback.ip, far=far,
        patience=patience,
    )  # fmt: skip


def _outside(client: str, address: Address, place: _Place) -> Iterator[Flow]:
    between = (client, place.name)
    for tor in place.tors:
        own = tor.loopback.ip
        yield Flow(source=client, target=tor.name, between=between, protocol="udp", near=address, far=own)
        yield Flow(source=tor.name, target=client, between=between, protocol="udp", near=own, far=address)
    target, far, patience = place.echoes(0)
    yield Flow(source=client, target=target, between=between, protocol="icmp", near=address, far=far, patience=patience)


def _clients(topology: Topology) -> Iterator[tuple[str, Address]]:
    """Yield the clients that borders lead to racks, with an address of the family of the routers' first one."""
    if topology.routing.exposed:  # borders know no rack
        return
    flat = {segment.name for segment in topology.segments if segment.kind is SegmentKind.FLAT}
    version = topology.versions[0]
    for client in topology.externals:
        own = next((each.ip for each in client.addresses if each.version == version), None)
        if client.segment not in flat and own is not None:
            yield client.name, own


def streams_of(topology: Topology, flows: Sequence[Flow]) -> list[int]:
    """Return about how many streams each of these flows has: one for each way over a spine."""
    ways = min(MOST_WAYS, topology.routing.ecmp, max(1, len(topology.tier(Tier.SPINE))))
    return [ways if flow.protocol == "udp" else 1 for flow in flows]


def shares(topology: Topology, flows: Sequence[Flow], *, most: int) -> Iterator[tuple[Flow, ...]]:
    """Yield flows in as few parts as can be with about `most` streams each."""
    streams = streams_of(topology, flows)
    parts = -(-sum(streams) // most)
    ends = [part * sum(streams) / parts for part in range(1, parts + 1)]
    place = [next(at for at, end in enumerate(ends) if so_far <= end + 1e-9) for so_far in accumulate(streams)]
    for part in range(parts):
        if mine := tuple(flow for flow, at in zip(flows, place, strict=True) if at == part):
            yield mine


def covering(ways: Mapping[int, Sequence[Hop]], *, most: int = MOST_WAYS) -> tuple[int, ...]:
    """Return so few ports that their ways together take every hop that any of them takes, `most` of them at most.

    `ways` are the hops of packets from each port. Greedy: first whichever brings the most hops that are new.
    """
    missing = {hop for way in ways.values() for hop in way}
    chosen: list[int] = []
    while missing and len(chosen) < most:
        best = max(sorted(ways), key=lambda port: len(missing.intersection(ways[port])))
        chosen.append(best)
        missing.difference_update(ways[best])
    return tuple(chosen)
