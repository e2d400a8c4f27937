"""What BGP must have settled on, computed from the topology: the standard a running fabric is measured by.

A path-vector model (RFC 4271) of the fabric as its BIRDs are configured. One session carries every family.

* **Origins.** A router originates its loopbacks, those of `originates` that are the prefix of an interface of its as
  long as that is plugged in (external, operation, a flat network), and the others of `originates` always (the default
  route of the border with the internet). A server originates its `nodes`, its `announces` and its `pods`.
* **Export.** A router announces to each neighbour what it originates and its best path; a server what it originates
  and nothing else, so nothing is routed through it. A ToR accepts nothing else from a server.
* **Choice.** The best path is that over the fewest ASes; of equally long ones an external before an internal one (RFC
  4271, 9.1.2.2 d), then that of the neighbour with the lowest router id. All paths that tie with it before the router
  id are used, each over its own neighbour (`merge paths`): `expected_routes` returns them all, of which a kernel has
  any `Topology.routing.ecmp` where there are more.
* **External sessions.** The receiver rejects a path with its own AS number in it (RFC 4271, 9.1.2): tiers that share
  one never route through one another (RFC 7938, 5.2.1), nor do the two ToRs of a rack with iBGP. The next hop is the
  announcer's own address: `Session.next_hop` of the family (RFC 8950 where there is only a link-local one).
* **Internal sessions** (`Session.internal`: a ToR and the servers of its rack). The ToR is a route reflector and the
  servers its clients (RFC 4456). It hands on what it learned from outside, or originates, with itself as the next hop
  (`next hop self ebgp`), and what it learned from a client, to every other client, with the next hop unchanged: the
  client's address on the segment of that ToR. An internal path counts no AS, so a neighbour in the rack is nearer than
  anything outside.
* **Exposed sessions** (`Session.exposed`: from the router next to a border, to the border). They announce the
  router's `aggregates` and nothing else; what the border announces comes in as over any other session. Aggregates are
  told over no other session, and have no next hop where they are originated; they are there whatever they stand for.
* Over a `drained` session nothing is told.
* A server that is not `managed` speaks no BGP; neither does one without a ToR.
* Single addresses out of `Kubernetes.load_balancers` come and go as the cluster wants it: they are not in this model.

Two devices are never connected by two sessions.

Prefixes that the same devices originate spread in the same way, which is computed once (`vdc.model.spread`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from vdc.model.ip import Address, Prefix
from vdc.model.spread import Fabric, Speaker, speakers, spread
from vdc.model.topology import Server, Session, Topology

Cut = Collection[tuple[str, str]]
"""Unplugged cables, each as (device, interface)."""

__all__ = ["Cut", "Speaker", "expected_routes", "expected_sessions", "speakers"]


def expected_sessions(topology: Topology, *, down: Collection[str] = (), cut: Cut = ()) -> Mapping[str, frozenset[str]]:
    """Return, for each living router and server, the peers whose session must be Established.

    `down` devices have no power; `cut` are unplugged cables, each as (device, interface) at either end.
    Raises KeyError: there is no such device or interface.
    """
    living = _living_sessions(topology, down, cut)
    return {device: frozenset(session.peer_device for session in sessions) for device, sessions in living.items()}


def expected_routes(
    topology: Topology, *, down: Collection[str] = (), cut: Cut = ()
) -> Mapping[str, Mapping[Prefix, frozenset[Address]]]:
    """Return, for each living router and server, its BGP routes: prefix to all of the best next hops.

    What a device originates itself is not a BGP route there. `down` and `cut` are as for `expected_sessions`.
    Equal sets of next hops of a device are the same object.
    Raises KeyError: there is no such device or interface.
    """
    living = _living_sessions(topology, down, cut)
    by_name = {speaker.name: speaker for speaker in speakers(topology) if speaker.name in living}
    fabric = Fabric(by_name, living)
    routes: dict[str, dict[Prefix, frozenset[Address]]] = {name: {} for name in living}
    for (origins, aggregators, version), prefixes in _alike(by_name, cut).items():
        for device, next_hops in spread(fabric, origins, aggregators, version):
            table = routes[device]
            for prefix in prefixes:
                table[prefix] = next_hops
    return routes


def _alike(
    by_name: Mapping[str, Speaker], cut: Cut
) -> Mapping[tuple[frozenset[str], frozenset[str], int], list[Prefix]]:
    """Return the prefixes, by who originates them, who tells them to borders as an aggregate, and IP version."""
    origins: dict[Prefix, list[str]] = {}
    aggregators: dict[Prefix, list[str]] = {}
    for name, speaker in by_name.items():
        for prefix in _originated(speaker, cut):
            origins.setdefault(prefix, []).append(name)
        for prefix in () if isinstance(speaker, Server) else speaker.aggregates:
            aggregators.setdefault(prefix, []).append(name)
    found: dict[tuple[frozenset[str], frozenset[str], int], list[Prefix]] = {}
    for prefix in {**origins, **aggregators}:
        key = (frozenset(origins.get(prefix, ())), frozenset(aggregators.get(prefix, ())), prefix.version)
        found.setdefault(key, []).append(prefix)
    return found


def _living_sessions(topology: Topology, down: Collection[str], cut: Cut) -> Mapping[str, list[Session]]:
    """Return the sessions of each living device that have both ends alive and plugged in."""
    _must_exist(topology, down, cut)
    unplugged, dead = frozenset(cut), frozenset(down)
    alive = [speaker for speaker in speakers(topology) if speaker.name not in dead]
    if not unplugged and not dead:
        return {speaker.name: list(speaker.sessions) for speaker in alive}
    able = {
        (session.device, session.peer_device)
        for speaker in alive
        for session in speaker.sessions
        if (session.device, session.interface) not in unplugged
    }
    return {
        speaker.name: [
            session
            for session in speaker.sessions
            if (session.device, session.peer_device) in able and (session.peer_device, session.device) in able
        ]
        for speaker in alive
    }


def _must_exist(topology: Topology, down: Collection[str], cut: Cut) -> None:
    if not down and not cut:
        return
    known = {router.name: {end.interface for end in router.interfaces} for router in topology.routers}
    known |= {server.name: {port.interface for port in server.ports} for server in topology.servers}
    known |= {each.name: {each.interface, *(end.interface for end in each.further)} for each in topology.externals}
    for device in (*down, *(device for device, _ in cut)):
        if device not in known:
            raise KeyError(f"no device {device!r}; there are {', '.join(known)}")
    for device, interface in cut:
        if interface not in known[device]:
            raise KeyError(f"{device} has no interface {interface!r}; it has {', '.join(sorted(known[device]))}")


def _originated(speaker: Speaker, cut: Cut) -> Iterator[Prefix]:
    """Yield what a device announces of its own; of networks that it stands on only those its cable still reaches."""
    if isinstance(speaker, Server):
        yield from (address.network for address in (*speaker.nodes, *speaker.announces))
        yield from speaker.pods
        return
    yield from (address.network for address in speaker.loopbacks)
    standing: dict[Prefix, bool] = {}
    for end in speaker.interfaces if speaker.originates else ():
        for address in end.addresses:
            plugged = (end.device, end.interface) not in cut
            standing[address.network] = standing.get(address.network, False) or plugged
    yield from (prefix for prefix in speaker.originates if standing.get(prefix, True))
