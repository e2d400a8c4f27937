"""From what a person wrote to every device, link and session: pure, and the same at every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from vdc.model.expand.devices import Beside, make_clients
from vdc.model.expand.kubernetes import make_kubernetes
from vdc.model.expand.links import make_links
from vdc.model.expand.outside import make_internet, originated
from vdc.model.expand.routers import make_routers
from vdc.model.expand.routing import make_routing
from vdc.model.expand.script import make_script
from vdc.model.expand.segments import Cabling, Net, fill_routers, other_nets, server_nets, used_nets
from vdc.model.expand.servers import ServerMaker
from vdc.model.expand.sessions import router_sessions, speaking
from vdc.model.expand.shape import Shape
from vdc.model.expand.wires import Wires
from vdc.model.hardware import UserImage
from vdc.model.spec import TopologySpec
from vdc.model.topology import STANDARD_MTU, End, External, Link, Router, Segment, SegmentKind, Server, Topology

NO_SEEDS: Final[Mapping[str, str]] = MappingProxyType({})


def expand(spec: TopologySpec, seeds: Mapping[str, str] = NO_SEEDS, *, default_mtu: int = STANDARD_MTU) -> Topology:
    """Return the topology that `spec` means. `spec` comes from `vdc.model.load`: it holds all that it refers to.

    `seeds` are the texts of the files that servers configure themselves from, by path. `default_mtu` in bytes is that
    of a fabric whose file says nothing.
    """
    shape = Shape(spec=spec, mtu=spec.fabric.mtu or default_mtu)
    wires = Wires(spec.links)
    links = tuple(make_links(shape, wires))
    routers = {router.name: router for router in make_routers(shape)}
    externals, servers, segments = _stand(shape, wires, routers, seeds)
    return Topology(
        name=spec.name,
        release=spec.release,
        boot=spec.boot,
        family=spec.family,
        routers=tuple(_wired(shape, routers, servers, links, segments)),
        servers=servers,
        externals=externals,
        links=links,
        segments=segments,
        routing=make_routing(spec.routing),
        internet=make_internet(shape),
        script=make_script(spec.script),
        images=tuple(
            UserImage(name=name, url=image.url, file=image.file, sha256=image.sha256, compression=image.compression)
            for name, image in spec.images.items()
        ),
        kubernetes=make_kubernetes(shape, servers),
    )


def _stand(
    shape: Shape, wires: Wires, routers: Mapping[str, Router], seeds: Mapping[str, str]
) -> tuple[tuple[External, ...], tuple[Server, ...], tuple[Segment, ...]]:
    """Return everything that stands on segments, and the segments: who comes first has the first free addresses."""
    used = used_nets(shape)
    nets: Mapping[str, Net] = {net.name: net for net in (*server_nets(shape), *other_nets(shape)) if net.name in used}
    cabling = Cabling(shape=shape, wires=wires)
    fill_routers(cabling, nets)
    tors = {
        name: speaking(net.ends[0], routers[name].asn, routers[name].tier)
        for name, net in nets.items()
        if net.kind is SegmentKind.SERVERS
    }
    maker = ServerMaker(shape=shape, wires=wires, nets=nets, texts=seeds, tors=tors)
    racked = tuple(maker.of_racks())
    clients = tuple(make_clients(shape, cabling, nets))
    more_clients, guests = Beside(shape=shape, cabling=cabling, nets=nets, maker=maker).plug()
    return (*clients, *more_clients), (*racked, *guests), tuple(net.segment() for net in nets.values())


def _wired(
    shape: Shape,
    routers: Mapping[str, Router],
    servers: Sequence[Server],
    links: Sequence[Link],
    segments: Sequence[Segment],
) -> Iterator[Router]:
    """Yield the routers with their interfaces, their sessions, and what they originate because of them."""
    ends: dict[str, list[End]] = {name: [] for name in routers}
    standing: dict[str, list[Segment]] = {}
    for link in links:
        ends[link.a.device].append(link.a)
        ends[link.b.device].append(link.b)
    for segment in segments:
        for end in segment.ports:
            if end.device in ends:
                ends[end.device].append(end)
                standing.setdefault(end.device, []).append(segment)
    sessions = router_sessions(links, segments, routers, servers, exposed=shape.spec.routing.exposed)
    for name, router in routers.items():
        yield replace(
            router,
            interfaces=tuple(ends[name]),
            sessions=tuple(sessions.get(name, ())),
            originates=originated(shape, router, standing.get(name, ())),
        )
