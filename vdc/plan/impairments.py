"""What a wire does to the packets on it, in each direction."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model import topology
from vdc.model.topology import ServerPort
from vdc.plan.context import PlanContext
from vdc.plan.resources.network import Impairment, Plug, Veth


def plan_direction(what: topology.Impairment | None, near: Plug, far: Plug, veth: Veth) -> Iterator[Impairment]:
    """Yield what happens to packets from `near` to `far`, the ends of a cable; nothing if nothing does."""
    if what is not None:
        yield Impairment(
            netns=near.netns,
            interface=near.name,
            delay=what.delay,
            jitter=what.jitter,
            loss=what.loss,
            rate=what.rate,
            far_netns=far.netns,
            far=far.name,
            after=(veth.id,),
        )


def plan_tap(port: ServerPort, context: PlanContext) -> Iterator[Impairment]:
    """Yield what happens to packets that a server sends and receives over a NIC, seen from its tap."""
    for what, incoming in ((port.egress, True), (port.ingress, False)):
        if what is not None:
            yield Impairment(
                netns=context.netns,
                interface=port.tap,
                incoming=incoming,
                delay=what.delay,
                jitter=what.jitter,
                loss=what.loss,
                rate=what.rate,
                after=(f"tap:{port.tap}",),
            )
