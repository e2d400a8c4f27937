"""A segment: a bridge in the data centre's namespace and a cable to each router and client on it.

Servers reach it by the taps of `vdc.plan.servers`.
"""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model import addressing
from vdc.model.topology import End, Segment, Topology
from vdc.plan.context import PlanContext
from vdc.plan.resources import Bridge, Plug, Resource, Veth
from vdc.plan.routers import plug


def plan_segment(segment: Segment, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the bridge, then the cables."""
    yield Bridge(netns=context.netns, name=segment.name)
    servers = {server.name for server in topology.servers}
    for end in segment.ports:
        if end.device not in servers:
            yield cable(end, segment.name, topology, context)


def cable(end: End, bridge: str, topology: Topology, context: PlanContext) -> Veth:
    """Return the cable from a router or client to a bridge."""
    return Veth(
        a=plug(end, topology, context),
        b=Plug(netns=context.netns, name=addressing.leg_name(end.device), bridge=bridge),
    )
