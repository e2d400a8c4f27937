"""From a topology to what a picture of it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from vdc.graph import details
from vdc.graph.picture import Item, Kind, Net, Picture, Pod, Rack, Wire
from vdc.model.texts import asns_text, count_text, hardware_text, range_text
from vdc.model.topology import (
    STANDARD_MTU,
    End,
    External,
    Link,
    Router,
    Segment,
    SegmentKind,
    Server,
    ServerPort,
    Tier,
    Topology,
)

INDIVIDUALS: Final = 64
"""The most servers that are drawn one by one; of more, each rack shows how many it has of each role."""

_OUTSIDE: Final = frozenset({SegmentKind.EXTERNAL, SegmentKind.OPERATION})


def depict(topology: Topology, *, name: str | None = None) -> Picture:
    """Return what a picture of `topology` shows."""
    racked = sum(server.rack is not None for server in topology.servers)
    return _Depicter(topology, counted=racked > INDIVIDUALS).picture(name or topology.name)


@dataclass(slots=True)
class _Depicter:
    """`counted` is whether servers are told by their number."""

    topology: Topology
    counted: bool

    def picture(self, name: str) -> Picture:
        topology = self.topology
        return Picture(
            title=name,
            subtitle=_subtitle(topology),
            nets=tuple(self._nets()),
            clients=(*self._internet(), *(_client(each) for each in topology.externals if self._is_outside(each))),
            borders=tuple(map(_router, topology.tier(Tier.BORDER))),
            superspines=tuple(map(_router, topology.tier(Tier.SUPERSPINE))),
            pods=tuple(self._pods()),
            beside=(
                *map(_router, topology.tier(Tier.ROUTER)),
                *(_server(each) for each in topology.servers if each.rack is None),
                *(_client(each) for each in topology.externals if not self._is_outside(each)),
            ),
            wires=tuple(self._wires()),
            cables=tuple(self._cables()),
        )

    def _is_outside(self, client: External) -> bool:
        segments = {segment.name: segment for segment in self.topology.segments}
        return client.segment in segments and segments[client.segment].kind in _OUTSIDE

    def _nets(self) -> Iterator[Net]:
        racked = {server.name for server in self.topology.servers if server.rack is not None}
        for segment in self.topology.segments:
            if segment.kind is not SegmentKind.SERVERS:
                there = sum(end.device in racked for end in segment.ports)
                facts = (*map(str, segment.prefixes), *((count_text(there, "server"),) if there else ()))
                yield Net(
                    name=_net_name(segment),
                    title=segment.name,
                    facts=facts,
                    details=details.segment_details(segment),
                    outside=segment.kind in _OUTSIDE,
                )

    def _internet(self) -> Iterator[Item]:
        internet = self.topology.internet
        if internet is not None:
            yield Item(
                name="internet",
                short="internet",
                kind="internet",
                addresses=(f"NAT {internet.gateway.ip}",),
                details=details.internet_details(internet),
            )

    def _pods(self) -> Iterator[Pod]:
        racks = dict(self._racks())
        pod_of = {router.rack: router.pod for router in self.topology.tier(Tier.TOR)}
        spines = self.topology.tier(Tier.SPINE)
        five_stage = bool(self.topology.tier(Tier.SUPERSPINE))
        numbers = sorted({router.pod for router in spines} | {pod_of.get(rack) for rack in racks}, key=_number)
        for number in numbers:
            yield Pod(
                title=f"pod {_number(number)}" if five_stage else "",
                spines=tuple(_router(router) for router in spines if router.pod == number),
                racks=tuple(rack for at, rack in racks.items() if pod_of.get(at) == number),
            )

    def _racks(self) -> Iterator[tuple[int, Rack]]:
        tors: dict[int, list[Router]] = {}
        servers: dict[int, list[Server]] = {}
        for router in self.topology.routers:
            if router.rack is not None:
                tors.setdefault(router.rack, []).append(router)
        for server in self.topology.servers:
            if server.rack is not None:
                servers.setdefault(server.rack, []).append(server)
        for number in sorted(tors.keys() | servers.keys()):
            there = servers.get(number, [])
            yield (
                number,
                Rack(
                    title=f"rack{number}",
                    tors=tuple(_router(router) for router in tors.get(number, [])),
                    servers=tuple(map(_count, _by_role(there))) if self.counted else tuple(map(_server, there)),
                    details=f"rack {number}: {count_text(len(there), 'server')}",
                ),
            )

    def _wires(self) -> Iterator[Wire]:
        usual = usual_mtu(self.topology)
        yield from (_link(link, usual) for link in self.topology.links)
        racked = {server.name for server in self.topology.servers if server.rack is not None}
        outside = {client.name for client in self.topology.externals if self._is_outside(client)}
        for segment in self.topology.segments:
            of_tor = segment.kind is SegmentKind.SERVERS
            hub = segment.ports[0].device if of_tor else _net_name(segment)
            for end in segment.ports:
                if end.device not in racked and not (of_tor and end.device == hub):
                    yield _port(end, hub, segment, usual, above=end.device in outside)
        internet = self.topology.internet
        if internet is not None:
            yield Wire(
                a="internet",
                b=internet.border,
                labels=(str(internet.address.network),),
                details=details.internet_details(internet),
            )

    def _cables(self) -> Iterator[Wire]:
        usual = usual_mtu(self.topology)
        pairs: Counter[tuple[str, str]] = Counter()
        for server in self.topology.servers:
            for port in server.ports if server.rack is not None else ():
                if port.tor is None:  # its network is told how many servers it has
                    continue
                cable = _cable(server, port, usual)
                if self.counted and not cable.odd:
                    pairs[cable.a, _group_name(server)] += 1
                else:
                    yield replace(cable, b=_group_name(server)) if self.counted else cable
        yield from (Wire(a=tor, b=name, count=count) for (tor, name), count in pairs.items())


def usual_mtu(topology: Topology) -> int:
    """Return the MTU that most wires have."""
    found = Counter([*(link.mtu for link in topology.links), *(segment.mtu for segment in topology.segments)])
    return max(found, key=lambda mtu: (found[mtu], mtu), default=STANDARD_MTU)


def _subtitle(topology: Topology) -> str:
    racks = {router.rack for router in topology.routers} | {server.rack for server in topology.servers}
    return " · ".join(
        (
            *(
                count_text(number, what)
                for number, what in (
                    (len(topology.routers), "router"),
                    (len(topology.links), "link"),
                    (len(racks - {None}), "rack"),
                    (len(topology.servers), "server"),
                )
                if number
            ),
            {"ipv4": "IPv4", "ipv6": "IPv6", "dual": "IPv4 and IPv6"}[topology.family],
            f"mtu {usual_mtu(topology)}",
            topology.release,
        )
    )


def _router(router: Router) -> Item:
    kind: Kind = {
        Tier.BORDER: "border",
        Tier.SUPERSPINE: "superspine",
        Tier.SPINE: "spine",
        Tier.TOR: "tor",
        Tier.ROUTER: "router",
    }[router.tier]  # type: ignore[assignment]
    return Item(
        name=router.name,
        short=f"{router.tier}{router.index}",
        kind=kind,
        asn=f"AS{router.asn}",
        addresses=tuple(str(loopback.ip) for loopback in router.loopbacks),
        details=details.router_details(router),
    )


def _server(server: Server) -> Item:
    return Item(
        name=server.name,
        short=server.name.partition("-")[2] or server.name,
        kind="server",
        asn=f"AS{server.asn}" if server.sessions else "",
        addresses=tuple(str(node.ip) for node in server.nodes) or _places((*server.ports,)),
        hardware=hardware_text(server),
        details=details.server_details(server),
        group=server.role,
    )


def _places(ports: Sequence[ServerPort]) -> tuple[str, ...]:
    """Return where the NICs of a server beside the fabric are."""
    return tuple(f"{port.segment} {' '.join(map(str, port.addresses))}".strip() for port in ports)


def _client(client: External) -> Item:
    return Item(
        name=client.name,
        short=client.name,
        kind="client",
        addresses=(
            *(str(address.ip) for address in client.addresses),
            *(f"{end.interface} {' '.join(map(str, end.addresses))}".strip() for end in client.further),
        ),
        details=details.client_details(client),
    )


def _by_role(servers: Sequence[Server]) -> Iterator[list[Server]]:
    ordered = sorted(servers, key=lambda server: server.role)
    yield from (list(group) for _, group in groupby(ordered, key=lambda server: server.role))


def _group_name(server: Server) -> str:
    return f"rack{server.rack}-{server.role}"


def _count(servers: Sequence[Server]) -> Item:
    """Return the item that stands for the servers of one role of a rack."""
    first = servers[0]
    families = range(max(len(server.nodes) for server in servers))
    shapes = Counter(hardware_text(server) for server in servers)
    names = first.name if len(servers) == 1 else f"{first.name} … {servers[-1].name}"
    addresses = tuple(
        range_text(sorted(server.nodes[family].ip for server in servers if family < len(server.nodes)))
        for family in families
    )
    asns = asns_text(sorted(server.asn for server in servers))
    return Item(
        name=_group_name(first),
        short=f"{len(servers)} × {first.role}",
        kind="server",
        asn=asns,
        addresses=addresses,
        hardware=next(iter(shapes)) if len(shapes) == 1 else "",
        details="\n".join((names, *addresses, asns, *(f"{number} × {shape}" for shape, number in shapes.items()))),
        group=first.role,
        count=len(servers),
    )


def _net_name(segment: Segment) -> str:
    """Return what wires call a network: a client may have the name of its network."""
    return f"net:{segment.name}"


def _link(link: Link, usual: int) -> Wire:
    return Wire(
        a=link.a.device,
        b=link.b.device,
        labels=tuple(str(address.network) for address in link.a.addresses),
        odd=details.odd_text(link.mtu, usual, link.to_a, link.to_b),
        details=details.link_details(link),
    )


def _port(end: End, hub: str, segment: Segment, usual: int, *, above: bool) -> Wire:
    """Return the wire of a device to a network or ToR; its upper end comes first."""
    addresses = tuple(map(str, end.addresses))
    pair = (end.egress, end.ingress)
    return Wire(
        a=end.device if above else hub,
        b=hub if above else end.device,
        labels=addresses,
        odd=details.odd_text(end.mtu or segment.mtu, usual, *(pair[::-1] if above else pair)),
        details="\n".join(
            (f"{end.device} {end.interface} – {segment.name}", *addresses, f"mtu {end.mtu or segment.mtu}")
        ),
    )


def _cable(server: Server, port: ServerPort, usual: int) -> Wire:
    lines = (f"{server.name} {port.interface} – {port.segment}", *map(str, port.addresses), port.mac, f"mtu {port.mtu}")
    return Wire(
        a=str(port.tor),
        b=server.name,
        labels=tuple(map(str, port.addresses)),
        odd=details.odd_text(port.mtu, usual, port.egress, port.ingress),
        details="\n".join(lines),
    )


def _number(pod: int | None) -> int:
    return pod or 0
