"""A client: a namespace with a default route, outside over every border; its cables belong to segments."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model.topology import External, Topology
from vdc.plan.context import PlanContext
from vdc.plan.resources import Resource
from vdc.plan.resources.network import DefaultRoute, Namespace
from vdc.plan.routers import speaks_ipv6


def plan_external(external: External, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the client's namespace and its route."""
    del topology
    netns = context.device_netns(external.name)
    yield Namespace(name=netns, ipv6=speaks_ipv6(external.further, external.addresses))
    if external.gateways:
        interfaces = (external.interface, *(end.interface for end in external.further))
        yield DefaultRoute(
            netns=netns,
            gateways=tuple(map(str, external.gateways)),
            after=tuple(f"veth:{netns}/{interface}" for interface in interfaces),
        )
