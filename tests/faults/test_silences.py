"""Whom a fault silences: what ends there may be lost while it is in effect, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from vdc.faults import Isolated, LinkCut, RackOff, RoutersOff, ServersOff
from vdc.faults.announcing import RouteHijacked
from vdc.faults.base import Fault
from vdc.faults.daemons import BirdFrozen, SessionShut
from vdc.faults.feeds import Feed
from vdc.faults.hangs import ServerPaused
from vdc.faults.inside import Unit
from vdc.faults.power import FeedOff, SiteDark
from vdc.faults.processes import ServiceFrozen
from vdc.testing import FakeDataCenter

LOOPBACK = "rack1-tor0"


@pytest.mark.parametrize(
    ("fault", "silent"),
    [
        (RoutersOff(("spine0", "rack0-tor0")), {"spine0", "rack0-tor0"}),
        (ServersOff(("rack0-cs0",)), {"rack0-cs0"}),
        (RackOff(0), {"rack0-tor0", "rack0-tor1", "rack0-cs0"}),
        (FeedOff(0, Feed.A), {"rack0-tor0", "rack0-cs0"}),
        (ServerPaused("rack0-cs0"), {"rack0-cs0"}),
        (BirdFrozen(("rack0-tor0",)), {"rack0-tor0"}),
        (SessionShut("rack0-tor0", "spine0"), set()),
        (ServiceFrozen("rack0-cs0", Unit("bird")), set()),
        (LinkCut("rack0-tor0", "spine0"), set()),
        (Isolated("rack0-cs0", ("rack1-cs0",)), set()),
    ],
    ids=lambda each: each.name if isinstance(each, Fault) else "",
)
def test_only_who_cannot_be_reached_is_silent(
    fault: Fault, silent: set[str], make_dc: Callable[..., FakeDataCenter]
) -> None:
    assert set(fault.silences(make_dc())) == silent


def test_a_dark_site_is_silent_everywhere(make_dc: Callable[..., FakeDataCenter]) -> None:
    dc = make_dc()
    assert set(SiteDark().silences(dc)) == {*dc.routers, *dc.servers}


def test_a_hijacker_is_not_silent_but_whose_address_it_takes(make_dc: Callable[..., FakeDataCenter]) -> None:
    dc = make_dc()
    address = dc.topology.router(LOOPBACK).loopback.ip
    assert RouteHijacked("rack0-tor0", ip_network(address)).silences(dc) == (LOOPBACK,)
    assert RouteHijacked("rack0-tor0", ip_network("0.0.0.0/0")).silences(dc) == ()
