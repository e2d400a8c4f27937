"""A segment: a bridge in the data centre's namespace and a cable to each router and client on it.

Servers reach it by the taps of `vdc.plan.servers`.
"""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model import addressing
from vdc.model.topology import End, Segment, Topology
from vdc.plan.context import PlanContext
from vdc.plan.impairments import plan_direction
from vdc.plan.resources import Resource
from vdc.plan.resources.network import Bridge, Plug, Veth
from vdc.plan.routers import plug


def plan_segment(segment: Segment, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the bridge, then the cables."""
    yield Bridge(netns=context.netns, name=segment.name, mtu=segment.mtu)
    for end in segment.ports:
        if not topology.has_server(end.device):
            yield from _cable(end, segment, context)


def _cable(end: End, segment: Segment, context: PlanContext) -> Iterator[Resource]:
    """Yield the cable from a router or client to a bridge, and what happens to packets on it."""
    near = plug(end, segment.mtu, context)
    leg = end.leg or addressing.leg_name(end.device)
    far = Plug(netns=context.netns, name=leg, bridge=segment.name, mtu=near.mtu)
    veth = Veth(a=near, b=far)
    yield veth
    yield from plan_direction(end.egress, near, far, veth)
    yield from plan_direction(end.ingress, far, near, veth)
