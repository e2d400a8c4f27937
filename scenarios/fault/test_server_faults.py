"""Servers break: a crash, a whole rack, a partition. A minority is lost, so the cluster must go on."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import Inject, Isolated, RackOff, ServerCrash
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import leader, rack, rack_of, wait_other_leader
from vdc.observe.service import Prober, judge_service

pytestmark = pytest.mark.fault

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""


def test_a_crashed_leader_is_replaced(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """The kernel of the leader panics; another leads, and the crashed server comes back by a reset."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(ServerCrash(server)):
            wait_converged(dc, down=[server])
            assert wait_other_leader(dc, cluster, than=server) != server
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_the_loss_of_a_whole_rack_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """The leader's rack loses its power, ToRs and servers; the other racks still hold a majority."""
    server = leader(dc, cluster)
    lost = rack(dc, rack_of(dc, server))
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(RackOff(rack_of(dc, server))):
            wait_converged(dc, down=lost.devices)
            assert wait_other_leader(dc, cluster, than=server) not in lost.servers
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_a_leader_cut_off_from_its_peers_is_replaced(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """Peers no longer hear the leader, though clients do: it must step down, and take no writes alone."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(Isolated(server)):
            assert wait_other_leader(dc, cluster, than=server) != server
            cluster.wait_serving(members=[member for member in cluster.members if member != server])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))
