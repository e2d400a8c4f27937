"""Every kind of fault that a fabric without servers can have, each where the seed says: stood, and healed for good."""

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

import pytest

from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import (
    BirdFrozen,
    BirdKilled,
    Fault,
    Feed,
    FeedOff,
    Inject,
    LinkCut,
    LinkDisturbed,
    LinkFlap,
    LinkOneWay,
    RackOff,
    RouteHijacked,
    RouterOff,
    RoutersOff,
    RouteWithdrawn,
    SessionShut,
    SiteDark,
    partition,
)
from vdc.faults.selectors import tors
from vdc.model.disturbance import UNDISTURBED, Disturbance
from vdc.model.ip import Prefix
from vdc.model.topology import Router, Tier
from vdc.observe.flow_checkers import judge_flows
from vdc.observe.service import Prober

WAITING = 0.5
"""Seconds. Nothing breaks any more, so that only a busy host keeps packets waiting."""

pytestmark = [pytest.mark.fault, pytest.mark.bare]

DISTURBANCES: Mapping[str, Disturbance] = MappingProxyType(
    {
        "delay": Disturbance(delay=0.1),
        "jitter": Disturbance(delay=0.05, jitter=0.03),
        "loss": Disturbance(loss=0.1),
        "reorder": Disturbance(reorder=0.2),
        "duplicate": Disturbance(duplicate=0.1),
        "corrupt": Disturbance(corrupt=0.1),
        "rate": Disturbance(rate=2_000_000),
        "MTU black hole": Disturbance(mtu=1000),
        "combined": Disturbance(delay=0.05, loss=0.1, duplicate=0.1),
    }
)

OTHERS: Mapping[str, Callable[[DataCenter, Random], Fault]] = MappingProxyType(
    {
        "cable cut": lambda dc, dice: LinkCut(*_cable(dc, dice)),
        "one way": lambda dc, dice: LinkOneWay(*_cable(dc, dice)),
        "cable flaps": lambda dc, dice: LinkFlap(*_cable(dc, dice), seed=dice.randrange(1000)),
        "router off": lambda dc, dice: RouterOff(dice.choice(dc.topology.routers).name),
        "a ToR of each rack off": lambda dc, dice: RoutersOff(tors(dc, dice.randrange(2))),
        "rack off": lambda dc, dice: RackOff(dice.choice(dc.topology.racks)),
        "feed off": lambda dc, dice: FeedOff(dice.choice(dc.topology.racks), dice.choice(tuple(Feed))),
        "site dark": lambda dc, dice: SiteDark(),
        "daemon killed": lambda dc, dice: BirdKilled((dice.choice(dc.topology.routers).name,)),
        "daemon frozen": lambda dc, dice: BirdFrozen((dice.choice(dc.topology.routers).name,)),
        "session shut": lambda dc, dice: SessionShut(*_neighbours(dc, dice)),
        "route withdrawn": lambda dc, dice: RouteWithdrawn(*_own_route(_tor(dc, dice))),
        "route hijacked": lambda dc, dice: RouteHijacked(_tor(dc, dice).name, _spine(dc, dice).loopback.network),
        "halves": lambda dc, dice: partition(dc.topology, "halves", "racks", dice),
        "isolate one": lambda dc, dice: partition(dc.topology, "isolate-one", "racks", dice),
        "minority": lambda dc, dice: partition(dc.topology, "minority", "racks", dice),
        "bridge": lambda dc, dice: partition(dc.topology, "bridge", "racks", dice),
        "asymmetric": lambda dc, dice: partition(dc.topology, "asymmetric", "racks", dice),
        "tiers apart": lambda dc, dice: partition(dc.topology, "halves", "tiers", dice),
    }
)


@pytest.mark.parametrize("kind", [*DISTURBANCES, *OTHERS])
def test_a_fault_of_the_fabric_bites_and_heals(
    dc: DataCenter, dice: Random, probe: Prober, inject: Inject, kind: str
) -> None:
    """It is proven both times; then all has converged, and flows go everywhere."""
    fault = OTHERS[kind](dc, dice) if kind in OTHERS else _disturbed(dc, dice, DISTURBANCES[kind])
    with inject(fault):
        pass
    wait_converged(dc)
    with probe.flows(dc) as watch:
        pass
    judge_flows(watch, longest=budget(dc, WAITING))


def _disturbed(dc: DataCenter, dice: Random, what: Disturbance) -> LinkDisturbed:
    """One way, the other, or both."""
    outgoing, incoming = dice.choice(((what, UNDISTURBED), (UNDISTURBED, what), (what, what)))
    return LinkDisturbed(*_cable(dc, dice), outgoing=outgoing, incoming=incoming)


def _cable(dc: DataCenter, dice: Random) -> tuple[str, str]:
    end = dice.choice([end for link in dc.topology.links for end in (link.a, link.b)])
    return end.device, end.interface


def _neighbours(dc: DataCenter, dice: Random) -> tuple[str, str]:
    link = dice.choice(dc.topology.links)
    return link.a.device, link.b.device


def _tor(dc: DataCenter, dice: Random) -> Router:
    return dice.choice(dc.topology.tier(Tier.TOR))


def _spine(dc: DataCenter, dice: Random) -> Router:
    return dice.choice(dc.topology.tier(Tier.SPINE))


def _own_route(router: Router) -> tuple[str, Prefix]:
    return router.name, router.loopback.network
