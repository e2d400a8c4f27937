"""How a prefix spreads over BGP, level by level: the path-vector model that `vdc.model.routing` describes.

A path over fewer ASes always wins, and each external session adds one. So the stable state follows from the origins
outwards: first all who learn the prefix over one AS, then over two. Devices are numbers here, and sets of them are
intersected as a whole, for a large fabric has millions of next hops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from vdc.model.ip import Address
from vdc.model.topology import Router, Server, Session, Topology

Speaker = Router | Server
"""A device that speaks BGP."""

_Path = tuple[int, ...]
_Tellers = Mapping[_Path, set[int]]
"""Devices that announce the prefix, by the path that they announce."""
_Way = tuple[int, int]
"""A neighbour, and whose address is the next hop: its own, or that of a client which it reflects."""


def speakers(topology: Topology) -> tuple[Speaker, ...]:
    """Return every device that speaks BGP: routers, then servers."""
    return (*topology.routers, *(server for server in topology.servers if server.managed and server.rack is not None))


class Fabric:
    """Who tells whom: devices by number, with what they tell over sessions of each kind."""

    def __init__(self, devices: Mapping[str, Speaker], sessions: Mapping[str, Sequence[Session]]) -> None:
        self.names = tuple(devices)
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.asns = [device.asn for device in devices.values()]
        self.servers = frozenset(n for n, device in enumerate(devices.values()) if isinstance(device, Server))
        self.ranks = [int(device.router_id) for device in devices.values()]
        self.by_asn: dict[int, set[int]] = {}
        for number, asn in enumerate(self.asns):
            self.by_asn.setdefault(asn, set()).add(number)
        self.external, self.internal, self.exposed = (_Sessions.none(len(self.names)) for _ in range(3))
        self._sessions: dict[_Way, Session] = {}
        self._next_hops: dict[tuple[int, int, frozenset[_Way] | frozenset[int]], frozenset[Address]] = {}
        for name, own in sessions.items():
            for session in own:
                self._take(self.numbers[name], self.numbers[session.peer_device], session)

    def _take(self, teller: int, hearer: int, session: Session) -> None:
        self._sessions[teller, hearer] = session
        if not session.drained:
            kind = self.internal if session.internal else self.exposed if session.exposed else self.external
            kind.tells[teller].add(hearer)
            kind.hears[hearer].add(teller)

    def over(self, device: int, peers: frozenset[int], version: int) -> frozenset[Address]:
        """Return the next hops of routes that `peers` announce to a device with their own addresses."""
        if (found := self._next_hops.get((device, version, peers))) is None:
            found = frozenset(self._sessions[device, peer].next_hop(version) for peer in peers)
            self._next_hops[device, version, peers] = found
        return found

    def through(self, device: int, ways: frozenset[_Way], version: int) -> frozenset[Address]:
        """Return the next hops of routes that route reflectors announce to a device."""
        if (found := self._next_hops.get((device, version, ways))) is None:
            ends = ((device, peer) if peer == behind else (peer, behind) for peer, behind in ways)
            found = frozenset(self._sessions[end].next_hop(version) for end in ends)
            self._next_hops[device, version, ways] = found
        return found


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The sessions of a kind: to whom each device tells what it knows, and from whom it hears."""

    tells: list[set[int]]
    hears: list[set[int]]

    @classmethod
    def none(cls, devices: int) -> _Sessions:
        return cls([set() for _ in range(devices)], [set() for _ in range(devices)])


def spread(
    fabric: Fabric, origins: Iterable[str], aggregators: Iterable[str], version: int
) -> Iterator[tuple[str, frozenset[Address]]]:
    """Yield each device that learns a prefix of an IP version, with all of its best next hops."""
    state = _Spread(fabric=fabric, version=version)
    yield from state.origins({fabric.numbers[name] for name in origins})
    told = state.heard({}, fabric.exposed, state.tellers({}, {fabric.numbers[name] for name in aggregators}))
    while state.told or told:
        told = state.heard(told, fabric.external, state.told)
        yield from state.settle(told)
        told = {}


@dataclass(slots=True, kw_only=True)
class _Spread:
    """A level at a time: `told` is what those of the last level announce."""

    fabric: Fabric
    version: int
    settled: set[int] = field(default_factory=set)
    told: _Tellers = field(default_factory=dict)

    def origins(self, origins: set[int]) -> Iterator[tuple[str, frozenset[Address]]]:
        """Take in the origins; yield those of their racks who learn it within one AS."""
        fabric = self.fabric
        self.settled |= origins
        clients: dict[int, set[int]] = {}
        for origin in origins & fabric.servers:
            for tor in fabric.internal.tells[origin] - self.settled:
                clients.setdefault(tor, set()).add(origin)
        for tor, own in clients.items():
            yield fabric.names[tor], fabric.over(tor, frozenset(own), self.version)
        self.settled |= clients.keys()
        routers = origins - fabric.servers
        behind = {tor: min(own, key=fabric.ranks.__getitem__) for tor, own in clients.items()}
        yield from self._reflect({**behind, **{router: router for router in routers}})
        self.told = self.tellers({(): clients.keys()}, origins)

    def tellers(self, learned: Mapping[_Path, Set[int]], origins: Set[int] = frozenset()) -> _Tellers:
        """Return what devices announce that have learned a path, or have the prefix of their own."""
        found: dict[_Path, set[int]] = {}
        for path, devices in (*learned.items(), ((), origins)):
            for device in devices:
                found.setdefault((self.fabric.asns[device], *path), set()).add(device)
        return found

    def heard(
        self, before: Mapping[int, list[tuple[_Path, frozenset[int]]]], sessions: _Sessions, told: _Tellers
    ) -> dict[int, list[tuple[_Path, frozenset[int]]]]:
        """Return for each device that does not have the prefix yet what it hears: paths, and from whom."""
        found = {device: list(paths) for device, paths in before.items()}
        for path, tellers in told.items():
            hearers = set().union(*(sessions.tells[teller] for teller in tellers)) - self.settled
            for asn in path if hearers else ():
                hearers -= self.fabric.by_asn[asn]
            for hearer in hearers:
                found.setdefault(hearer, []).append((path, frozenset(sessions.hears[hearer] & tellers)))
        return found

    def settle(
        self, heard: Mapping[int, Sequence[tuple[_Path, frozenset[int]]]]
    ) -> Iterator[tuple[str, frozenset[Address]]]:
        """Yield all who learn the prefix on this level, first over external sessions, then in racks."""
        fabric = self.fabric
        learned: dict[_Path, set[int]] = {}
        for device, paths in heard.items():
            path, peers = paths[0] if len(paths) == 1 else self._best(paths)
            yield fabric.names[device], fabric.over(device, peers, self.version)
            if device not in fabric.servers:
                learned.setdefault(path, set()).add(device)
        self.settled |= heard.keys()
        self.told = self.tellers(learned)
        yield from self._reflect({router: router for router in heard.keys() - fabric.servers})

    def _best(self, paths: Sequence[tuple[_Path, frozenset[int]]]) -> tuple[_Path, frozenset[int]]:
        """Return the path of the neighbour with the lowest router id, and all neighbours."""
        best = min(paths, key=lambda each: min(self.fabric.ranks[peer] for peer in each[1]))
        return best[0], frozenset().union(*(peers for _, peers in paths))

    def _reflect(self, learned: Mapping[int, int]) -> Iterator[tuple[str, frozenset[Address]]]:
        """Yield the clients of routers that have just learned the prefix, of themselves or of the client behind."""
        fabric = self.fabric
        ways: dict[int, set[_Way]] = {}
        for router, behind in learned.items():
            for client in fabric.internal.tells[router] - self.settled:
                ways.setdefault(client, set()).add((router, behind))
        for client, own in ways.items():
            yield fabric.names[client], fabric.through(client, frozenset(own), self.version)
        self.settled |= ways.keys()
