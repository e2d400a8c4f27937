"""Ways between racks break, one of several: numbered packets of every pair of racks tell for how long, and of which."""

import pytest

from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import Inject, LinkCut, LinkOneWay, RouterOff
from vdc.faults.selectors import rack, spine, uplink
from vdc.observe.flow_checkers import judge_flows
from vdc.observe.service import Prober

pytestmark = [pytest.mark.fault, pytest.mark.nightly]

CARRIER_LOST = 2.0
"""Seconds. Neighbours lose the carrier at once; those that are not neighbours are told by BGP, which has 1 s to hear
of it by BFD where a packet of its own was lost on the way."""

SILENCE_NOTICED = 3.0
"""Seconds, besides the hold time. BFD between routers finds out in 1 s, and so it mostly ends in one. But where the
neighbour's new BFD session begins in the same millisecond, BIRD 2.0.12 tells BGP of the new one alone, and only the
hold time ends what BGP had."""


def test_a_cut_cable_between_racks_costs_little(dc: DataCenter, probe: Prober, inject: Inject) -> None:
    """A ToR loses one of its ways to the spines; all that took it takes another."""
    tor, interface = uplink(dc, rack(dc, 0).routers[0])
    with probe.flows(dc) as watch:
        with inject(LinkCut(tor, interface)):
            wait_converged(dc, cut=[(tor, interface)])
        wait_converged(dc)
    judge_flows(watch, longest=budget(dc, CARRIER_LOST))


def test_a_cable_that_loses_one_direction_is_noticed(dc: DataCenter, probe: Prober, inject: Inject) -> None:
    """What a ToR sends over a cable is lost, and what it gets comes: no carrier tells it, only BFD does."""
    tor, interface = uplink(dc, rack(dc, 0).routers[0])
    with probe.flows(dc) as watch:
        with inject(LinkOneWay(tor, interface)):
            wait_converged(dc, cut=[(tor, interface)])
        wait_converged(dc)
    judge_flows(watch, longest=budget(dc, SILENCE_NOTICED) + dc.topology.routing.hold)


def test_a_spine_without_power_costs_little(dc: DataCenter, probe: Prober, inject: Inject) -> None:
    """All that went over a spine takes the others."""
    lost = spine(dc, 0)
    with probe.flows(dc) as watch:
        with inject(RouterOff(lost)):
            wait_converged(dc, down=[lost])
        wait_converged(dc)
    judge_flows(watch, longest=budget(dc, CARRIER_LOST))


def test_a_tor_without_power_is_missed_by_nobody_else(dc: DataCenter, probe: Prober, inject: Inject) -> None:
    """Only what goes to that ToR itself is lost: its rack is reached over the others."""
    tor = rack(dc, 0).routers[0]
    with probe.flows(dc, away=[tor]) as watch:
        with inject(RouterOff(tor)):
            wait_converged(dc, down=[tor])
        wait_converged(dc)
    judge_flows(watch, longest=budget(dc, CARRIER_LOST))
