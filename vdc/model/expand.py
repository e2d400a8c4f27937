"""From what a person wrote to every device, link and session: pure, and the same at every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product

from vdc.model import addressing
from vdc.model.spec import TopologySpec
from vdc.model.topology import (
    End,
    External,
    Link,
    Router,
    Segment,
    Server,
    ServerPort,
    Session,
    Tier,
    Topology,
)


def expand(spec: TopologySpec) -> Topology:
    """Return the topology that `spec` means. `spec` comes from `vdc.model.load`: its pools are big enough."""
    routers, servers = tuple(_routers(spec)), tuple(_servers(spec))
    externals = tuple(_externals(spec))
    links = tuple(_links(spec))
    segments = (*_tor_segments(routers, servers), *_external_segments(spec, externals))
    ends = [end for link in links for end in (link.a, link.b)]
    ends += [end for segment in segments for end in segment.ports]
    sessions = _sessions(links, segments, routers, servers)
    return Topology(
        name=spec.name,
        release=spec.release,
        boot=spec.boot,
        routers=tuple(
            replace(
                router,
                interfaces=tuple(end for end in ends if end.device == router.name),
                sessions=sessions[router.name],
            )
            for router in routers
        ),
        servers=tuple(replace(server, sessions=sessions[server.name]) for server in servers),
        externals=externals,
        links=links,
        segments=segments,
    )


def _routers(spec: TopologySpec) -> Iterator[Router]:
    """Yield the routers from the outside in, not wired yet."""
    fabric, asn = spec.fabric, spec.asn
    outside = (spec.pools.external,) if spec.external.clients else ()
    places = (
        *((Tier.BORDER, None, index, asn.border) for index in range(fabric.borders)),
        *((Tier.SPINE, None, index, asn.spine) for index in range(fabric.spines)),
        *(
            (Tier.TOR, rack, index, addressing.tor_asn(asn.tor, rack * fabric.tors + index))
            for rack, index in product(range(len(spec.rack_servers())), range(fabric.tors))
        ),
    )
    for number, (tier, rack, index, its_asn) in enumerate(places):
        yield Router(
            name=addressing.router_name(tier, index, rack=rack),
            tier=tier,
            rack=rack,
            index=index,
            asn=its_asn,
            loopback=addressing.host(spec.pools.loopback, number),
            interfaces=(),
            sessions=(),
            originates=outside if tier is Tier.BORDER else (),
        )


def _servers(spec: TopologySpec) -> Iterator[Server]:
    """Yield the servers rack by rack, without sessions yet."""
    number = 0
    for rack, roles in enumerate(spec.rack_servers()):
        members = [(role, index) for role, count in roles.items() for index in range(count)]
        for position, (role, index) in enumerate(members):
            name = addressing.server_name(rack, role, index)
            yield Server(
                name=name,
                role=role,
                rack=rack,
                index=position,
                asn=addressing.server_asn(spec.asn.server, number),
                node=addressing.host(spec.pools.node, number),
                ports=tuple(_server_port(spec, name, rack, position, tor) for tor in range(spec.fabric.tors)),
                sessions=(),
                cpu=spec.roles[role].cpu,
                memory=spec.roles[role].memory,
                data=spec.roles[role].data,
            )
            number += 1


def _server_port(spec: TopologySpec, server: str, rack: int, position: int, tor: int) -> ServerPort:
    pools = spec.pools
    prefix = addressing.segment_prefix(pools.segment, pools.segment_length, rack * spec.fabric.tors + tor)
    tor_name = addressing.router_name(Tier.TOR, tor, rack=rack)
    return ServerPort(
        interface=addressing.nic_name(tor),
        tap=addressing.tap_name(server, tor),
        mac=addressing.mac(spec.name, server, tor),
        segment=tor_name,
        tor=tor_name,
        address=addressing.port(prefix, 2 + position),
    )


def _externals(spec: TopologySpec) -> Iterator[External]:
    borders, clients = spec.fabric.borders, spec.external.clients
    gateways = tuple(addressing.port(spec.pools.external, 1 + border).ip for border in range(borders))
    for index in range(clients):
        yield External(
            name=addressing.client_name(index, clients),
            segment=addressing.EXTERNAL,
            interface=addressing.CLIENT_INTERFACE,
            address=addressing.port(spec.pools.external, 1 + borders + index),
            gateways=gateways,
        )


def _links(spec: TopologySpec) -> Iterator[Link]:
    """Yield every border with every spine, then every spine with every ToR; the outer router is end `a`."""
    fabric, racks = spec.fabric, range(len(spec.rack_servers()))
    borders = [addressing.router_name(Tier.BORDER, index) for index in range(fabric.borders)]
    spines = [addressing.router_name(Tier.SPINE, index) for index in range(fabric.spines)]
    tors = [addressing.router_name(Tier.TOR, i, rack=rack) for rack, i in product(racks, range(fabric.tors))]
    for number, (outer, inner) in enumerate((*product(borders, spines), *product(spines, tors))):
        first, second = addressing.link_ends(spec.pools.link, number)
        yield Link(
            a=End(device=outer, interface=inner, address=first),
            b=End(device=inner, interface=outer, address=second),
        )


def _tor_segments(routers: Iterable[Router], servers: Iterable[Server]) -> Iterator[Segment]:
    """Yield the segment of each ToR that has servers; the ToR is its first port."""
    ports: dict[str, list[End]] = {}
    for server in servers:
        for port in server.ports:
            end = End(device=server.name, interface=port.interface, address=port.address)
            ports.setdefault(port.segment, []).append(end)
    for name in (router.name for router in routers if router.name in ports):
        prefix = ports[name][0].address.network
        tor = End(device=name, interface=addressing.SERVERS, address=addressing.port(prefix, 1))
        yield Segment(name=name, prefix=prefix, ports=(tor, *ports[name]))


def _external_segments(spec: TopologySpec, externals: Iterable[External]) -> Iterator[Segment]:
    clients = tuple(End(device=each.name, interface=each.interface, address=each.address) for each in externals)
    if not clients:
        return
    prefix = spec.pools.external
    borders = tuple(
        End(
            device=addressing.router_name(Tier.BORDER, index),
            interface=addressing.EXTERNAL,
            address=addressing.port(prefix, 1 + index),
        )
        for index in range(spec.fabric.borders)
    )
    yield Segment(name=addressing.EXTERNAL, prefix=prefix, ports=(*borders, *clients))


def _sessions(
    links: Iterable[Link], segments: Iterable[Segment], routers: Iterable[Router], servers: Iterable[Server]
) -> Mapping[str, tuple[Session, ...]]:
    """Return the sessions of each device: over its links, and between a ToR and the servers of its rack."""
    server_asns = {server.name: server.asn for server in servers}
    asns = {router.name: router.asn for router in routers} | server_asns
    pairs = [(link.a, link.b) for link in links]
    for segment in segments:
        first, *others = segment.ports
        pairs += [(first, other) for other in others if other.device in server_asns]
    found: dict[str, list[Session]] = {name: [] for name in asns}
    for pair in pairs:
        for near, far in (pair, pair[::-1]):
            found[near.device].append(
                Session(
                    device=near.device,
                    interface=near.interface,
                    local=near.address.ip,
                    peer_device=far.device,
                    peer=far.address.ip,
                    peer_asn=asns[far.device],
                    peer_is_server=far.device in server_asns,
                )
            )
    return {name: tuple(sessions) for name, sessions in found.items()}
