"""Routing breaks while all cables and power supplies are well: daemons hang or die, sessions are shut, routes lie."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import sessions_of, wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import BirdFrozen, BirdKilled, Inject, RouteHijacked, SessionShut
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import leader, rack, rack_of, spine, wait_other_leader
from vdc.observe.service import Prober, judge_service

pytestmark = [pytest.mark.fault, pytest.mark.nightly]

DAEMON_LOST = 5.0
"""Seconds. Its router goes on forwarding until BFD between routers has given it up, within 1 s; the rest is for
retransmission."""

TOR_LOST = 20.0
"""Seconds. BFD towards guests finds out in 5 s. If the leader's packets took that path, an election of one to
two election timeouts (5-10 s) may follow."""

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""


def test_a_spine_whose_routing_daemon_hangs_is_avoided(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """Its sessions stay open and say nothing; its neighbours give it up all the same."""
    hung = spine(dc, 0)
    with probe.etcd(cluster) as watch:
        with inject(BirdFrozen((hung,))):
            _expect_avoided(dc, hung)
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, DAEMON_LOST))


def test_a_tor_whose_routing_daemon_is_killed_is_avoided(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """It has carriers and forwards by old routes, and nobody may rely on it; it is one of the leader's rack."""
    tor = rack(dc, rack_of(dc, leader(dc, cluster))).routers[0]
    with probe.etcd(cluster) as watch:
        with inject(BirdKilled((tor,))):
            _expect_avoided(dc, tor)
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, TOR_LOST))


def test_a_session_that_is_shut_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """A spine no longer talks to a ToR, though the cable between them is plugged in."""
    tor = rack(dc, rack_of(dc, leader(dc, cluster))).routers[0]
    session = next(each for each in sessions_of(dc, tor) if each.peer_device in dc.routers)
    with probe.etcd(cluster) as watch:
        with inject(SessionShut(session.peer_device, tor)):
            wait_converged(dc, cut=[(tor, session.interface)])
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, DAEMON_LOST))


def test_a_leader_whose_address_is_hijacked_is_replaced(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """A ToR of another rack announces the leader's address: no packet from elsewhere comes to it, so another leads."""
    server = leader(dc, cluster)
    other = next(number for number in dc.topology.racks if number != rack_of(dc, server))
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(RouteHijacked(rack(dc, other).routers[0], dc.topology.server(server).node.network)):
            assert wait_other_leader(dc, cluster, than=server) != server
            cluster.wait_serving(members=[member for member in cluster.members if member != server])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def _expect_avoided(dc: DataCenter, router: str) -> None:
    """Wait until nobody sends packets over a router; where it may restart gracefully its routes are kept for it."""
    if not dc.topology.routing.graceful_restart:
        wait_converged(dc, down=[router])
