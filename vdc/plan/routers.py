"""A router: a namespace that forwards, its loopback address, and BIRD."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model import addressing
from vdc.model.topology import End, Link, Router, Topology
from vdc.plan.context import PlanContext
from vdc.plan.render import render
from vdc.plan.resources import Bird, Loopback, Namespace, Plug, Resource, Veth
from vdc.plan.timers import BETWEEN_ROUTERS, BFD_MULTIPLIER, to_servers


def plan_router(router: Router, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what a router is made of; its cables belong to links and segments."""
    netns = context.device_netns(router.name)
    yield Namespace(name=netns, forwarding=True)
    yield Loopback(netns=netns, addresses=(str(router.loopback),))
    yield Bird(
        router=router.name,
        netns=netns,
        config=bird_config(router, topology, context),
        config_path=str(context.bird_file(router.name, "conf")),
        control=str(context.bird_file(router.name, "ctl")),
    )


def bird_config(router: Router, topology: Topology, context: PlanContext) -> str:
    """Return the router's bird.conf."""
    nodes = {server.name: server.node for server in topology.servers}
    originating = [end.interface for end in router.interfaces if end.address.network in router.originates]
    return render(
        "bird-router.conf.j2",
        router=router,
        log=context.bird_file(router.name, "log"),
        announced=(router.loopback.network, *router.originates),
        originating=originating,
        fabric_sessions=[session for session in router.sessions if not session.peer_is_server],
        server_sessions=[
            (session, nodes[session.peer_device]) for session in router.sessions if session.peer_is_server
        ],
        fabric=BETWEEN_ROUTERS,
        servers=to_servers(context.slowness),
        bfd_multiplier=BFD_MULTIPLIER,
    )


def plan_link(link: Link, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the cable between two routers."""
    yield Veth(a=plug(link.a, topology, context), b=plug(link.b, topology, context))


def plug(end: End, topology: Topology, context: PlanContext) -> Plug:
    """Return the end of a cable that is in the namespace of a router or client."""
    return Plug(
        netns=context.device_netns(end.device),
        name=end.interface,
        mac=addressing.mac(topology.name, end.device, end.interface),
        addresses=(str(end.address),),
    )
