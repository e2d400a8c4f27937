"""What BGP must have settled on, computed from the topology: the standard a running fabric is measured by.

A path-vector model of eBGP (RFC 4271) as the fabric's BIRDs are configured:

* each device announces what it originates and its best path, the one over the fewest ASes, to each neighbour;
* a path that holds the receiver's own AS number is rejected (RFC 4271, 9.1.2), so borders and spines, which
  share one AS number each, never route through one another (RFC 7938, 5.2.1);
* all paths of the best length are used, each over its own neighbour (`merge paths`);
* a server announces its node address only, so nothing is routed through it.

Two devices are never connected by two sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from vdc.model.topology import Router, Server, Session, Topology

Cut = Collection[tuple[str, str]]
"""Unplugged cables, each as (device, interface)."""

Speaker = Router | Server
"""A device that speaks BGP."""

_AsPath = tuple[int, ...]


def expected_sessions(topology: Topology, *, down: Collection[str] = (), cut: Cut = ()) -> Mapping[str, frozenset[str]]:
    """Return, for each living router and server, the peers whose session must be Established.

    `down` devices have no power; `cut` are unplugged cables, each as (device, interface) at either end.
    Raises KeyError: there is no such device or interface.
    """
    living = _living_sessions(topology, down, cut)
    return {device: frozenset(sessions) for device, sessions in living.items()}


def expected_routes(
    topology: Topology, *, down: Collection[str] = (), cut: Cut = ()
) -> Mapping[str, Mapping[IPv4Network, frozenset[IPv4Address]]]:
    """Return, for each living router and server, its BGP routes: prefix to the exact set of next hops.

    What a device originates itself is not a BGP route there. `down` and `cut` are as for `expected_sessions`.
    Raises KeyError: there is no such device or interface.
    """
    living = _living_sessions(topology, down, cut)
    by_name = {speaker.name: speaker for speaker in speakers(topology) if speaker.name in living}
    origins: dict[IPv4Network, set[str]] = {}
    for name, speaker in by_name.items():
        for prefix in _originated(speaker, cut):
            origins.setdefault(prefix, set()).add(name)
    routes: dict[str, dict[IPv4Network, frozenset[IPv4Address]]] = {name: {} for name in living}
    for prefix, announcers in origins.items():
        spread = _Spread(speakers=by_name, sessions=living, origins=frozenset(announcers))
        for device, next_hops in spread.settle():
            routes[device][prefix] = next_hops
    return routes


def _living_sessions(topology: Topology, down: Collection[str], cut: Cut) -> Mapping[str, Mapping[str, Session]]:
    """Return the sessions that have both ends alive and plugged in: device to peer device to session."""
    _must_exist(topology, down, cut)
    alive = [speaker for speaker in speakers(topology) if speaker.name not in down]
    able = {
        (session.device, session.peer_device): session
        for speaker in alive
        for session in speaker.sessions
        if (session.device, session.interface) not in cut
    }
    return {
        speaker.name: {
            session.peer_device: session
            for session in speaker.sessions
            if (session.device, session.peer_device) in able and (session.peer_device, session.device) in able
        }
        for speaker in alive
    }


def _must_exist(topology: Topology, down: Collection[str], cut: Cut) -> None:
    known = {router.name: {end.interface for end in router.interfaces} for router in topology.routers}
    known |= {server.name: {port.interface for port in server.ports} for server in topology.servers}
    known |= {external.name: {external.interface} for external in topology.externals}
    for device in (*down, *(device for device, _ in cut)):
        if device not in known:
            raise KeyError(f"no device {device!r}; there are {', '.join(known)}")
    for device, interface in cut:
        if interface not in known[device]:
            raise KeyError(f"{device} has no interface {interface!r}; it has {', '.join(sorted(known[device]))}")


def _originated(speaker: Speaker, cut: Cut) -> Iterator[IPv4Network]:
    """Yield what a device announces of its own; of segments only those that its cable still reaches."""
    if isinstance(speaker, Server):
        yield speaker.node.network
        return
    yield speaker.loopback.network
    for end in speaker.interfaces:
        if end.address.network in speaker.originates and (end.device, end.interface) not in cut:
            yield end.address.network


def speakers(topology: Topology) -> tuple[Speaker, ...]:
    """Return every device that speaks BGP: routers, then servers."""
    return (*topology.routers, *topology.servers)


@dataclass(slots=True, kw_only=True)
class _Spread:
    """How one prefix spreads from its origins: `heard` is each device's paths by announcing neighbour."""

    speakers: Mapping[str, Speaker]
    sessions: Mapping[str, Mapping[str, Session]]
    origins: frozenset[str]
    heard: dict[str, dict[str, _AsPath]] = field(default_factory=dict)

    def settle(self) -> Iterator[tuple[str, frozenset[IPv4Address]]]:
        """Announce until nothing changes; yield each device that learned the prefix, with its next hops."""
        self.heard = {name: {} for name in self.speakers}
        changed = deque(sorted(self.origins))
        while changed:
            device = changed.popleft()
            for peer in self.sessions[device]:
                before = self._best(peer)
                self._hear(peer, device)
                if self._best(peer) != before:
                    changed.append(peer)
        for name, paths in self.heard.items():
            if paths and name not in self.origins:
                shortest = min(map(len, paths.values()))
                nearest = (peer for peer, path in paths.items() if len(path) == shortest)
                yield name, frozenset(self.sessions[name][peer].peer for peer in nearest)

    def _best(self, device: str) -> _AsPath | None:
        """Return the path that a device uses itself and announces, without its own AS number."""
        if device in self.origins:
            return ()
        return min(self.heard[device].values(), key=lambda path: (len(path), path), default=None)

    def _hear(self, device: str, peer: str) -> None:
        """Take in what `peer` now announces to `device`, in place of what it announced before."""
        best = self._best(peer)
        silent = best is None or (isinstance(self.speakers[peer], Server) and peer not in self.origins)
        path = () if silent else (self.speakers[peer].asn, *(best or ()))
        if not silent and self.speakers[device].asn not in path:
            self.heard[device][peer] = path
        else:
            self.heard[device].pop(peer, None)
