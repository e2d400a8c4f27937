"""A client outside the borders: a namespace with a default route over every border."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model.topology import External, Topology
from vdc.plan.context import PlanContext
from vdc.plan.resources import DefaultRoute, Namespace, Resource


def plan_external(external: External, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the client's namespace and its route; its cable belongs to the external segment."""
    del topology
    netns = context.device_netns(external.name)
    yield Namespace(name=netns)
    yield DefaultRoute(
        netns=netns,
        gateways=tuple(map(str, external.gateways)),
        after=(f"veth:{netns}/{external.interface}",),
    )
