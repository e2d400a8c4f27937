"""A router: a namespace that forwards, its loopback addresses, and BIRD. And the links between routers."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model.ip import Interface
from vdc.model.topology import End, Link, Router, Topology
from vdc.plan.bird import router_config
from vdc.plan.context import PlanContext
from vdc.plan.impairments import plan_direction
from vdc.plan.resources import Resource
from vdc.plan.resources.network import Loopback, Namespace, Plug, Veth
from vdc.plan.resources.processes import Bird


def plan_router(router: Router, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what a router is made of; its cables belong to links and segments."""
    netns = context.device_netns(router.name)
    yield Namespace(name=netns, forwarding=True, ipv6=speaks_ipv6(router.interfaces, router.loopbacks))
    yield Loopback(netns=netns, addresses=tuple(map(str, router.loopbacks)))
    yield Bird(
        router=router.name,
        netns=netns,
        config=router_config(router, topology, context),
        config_path=str(context.bird_file(router.name, "conf")),
        control=str(context.bird_file(router.name, "ctl")),
        graceful=topology.routing.graceful_restart,
    )


def plan_link(link: Link, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the cable between two routers, and what happens to packets on it."""
    del topology
    veth = Veth(a=plug(link.a, link.mtu, context), b=plug(link.b, link.mtu, context))
    yield veth
    yield from plan_direction(link.to_b, veth.a, veth.b, veth)
    yield from plan_direction(link.to_a, veth.b, veth.a, veth)


def plug(end: End, mtu: int, context: PlanContext) -> Plug:
    """Return the end of a cable that is in the namespace of a router or client."""
    return Plug(
        netns=context.device_netns(end.device),
        name=end.interface,
        mac=end.mac,
        addresses=tuple(map(str, end.addresses)),
        mtu=end.mtu or mtu,
        link_local=f"{end.link_local}/64" if end.link_local else None,
    )


def speaks_ipv6(ends: tuple[End, ...], further: tuple[Interface, ...] = ()) -> bool:
    """Return whether a device has any IPv6 address at all, if only one that is local to a link."""
    addresses = (*further, *(address for end in ends for address in end.addresses))
    return any(end.link_local for end in ends) or any(address.version == 6 for address in addresses)
