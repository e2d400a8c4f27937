"""Power goes, or is there and nothing comes of it: a hanging leader, half a rack, the whole site."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import Feed, FeedOff, Inject, ServerPaused, SiteDark
from vdc.faults.feeds import fed_by
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import leader, rack, rack_of, wait_other_leader
from vdc.observe.service import Prober, judge_service

pytestmark = [pytest.mark.fault, pytest.mark.nightly]

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""


def test_a_leader_that_hangs_is_replaced_and_follows_when_it_goes_on(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """It stands still as it is, and goes on later without knowing that time has passed: it must not lead then."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(ServerPaused(server)):
            assert wait_other_leader(dc, cluster, than=server) != server
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_the_loss_of_half_a_rack_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """One of the two power feeds of the leader's rack fails, and every other device there is off."""
    number = rack_of(dc, leader(dc, cluster))
    lost = fed_by(rack(dc, number), Feed.A)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(FeedOff(number, Feed.A)):
            wait_converged(dc, down=lost)
            cluster.wait_serving(members=[member for member in cluster.members if member not in lost])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_a_site_comes_back_from_dark(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """Everything loses its power, routers and servers: an outage it is, but nothing acknowledged is lost."""
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(SiteDark()):
            pass
        wait_whole(dc, cluster)
    judge_service(watch, longest=None)
