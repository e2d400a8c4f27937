"""Servers restart: asked nicely, by losing power, and all of them at once."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter, Power
from vdc.datacenter.pace import budget
from vdc.faults.proofs import keeping_data, rebooting, wait_whole
from vdc.faults.selectors import follower, leader, wait_other_leader
from vdc.observe.service import Prober, judge_service
from vdc.rolling.witness import judge_all_restarted, witnessing

pytestmark = pytest.mark.reboot

GRACEFUL = 10.0
"""Seconds. etcd hands its leadership over before it stops, so nobody waits for an election; what remains is
the time until paths over the server are withdrawn (BFD towards guests: 5 s) and clients have turned to other
members."""

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""


def test_a_graceful_reboot_of_one_server_goes_unnoticed(dc: DataCenter, cluster: Cluster, probe: Prober) -> None:
    """A server that is asked to restart does so, keeps its data and rejoins; users see at most a hiccup."""
    server = dc.servers[follower(dc, cluster)]
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        with rebooting(server):
            server.reboot()
        wait_whole(dc, cluster)
    judge_all_restarted(witness, servers=[server.name])
    judge_service(watch, longest=budget(dc, GRACEFUL))


def test_the_leader_losing_power_costs_one_election(dc: DataCenter, cluster: Cluster, probe: Prober) -> None:
    """The leader loses its power; the others elect another. It gets it back, and no data is lost."""
    server = dc.servers[leader(dc, cluster)]
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        with rebooting(server):
            server.power_off()
            assert server.power() is Power.OFF
            assert wait_other_leader(dc, cluster, than=server.name) != server.name
            server.power_on()
        wait_whole(dc, cluster)
    judge_all_restarted(witness, servers=[server.name])
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_all_servers_start_again_from_dark(dc: DataCenter, cluster: Cluster, probe: Prober) -> None:
    """All servers lose their power at once: an outage it is, but nothing acknowledged is lost."""
    machines = tuple(dc.servers[name] for name in cluster.members)
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        with rebooting(*machines):
            for machine in machines:
                machine.power_off()
            assert {machine.power() for machine in machines} == {Power.OFF}
            for machine in machines:
                machine.power_on()
        wait_whole(dc, cluster)
    judge_all_restarted(witness, servers=cluster.members)
    judge_service(watch, longest=None)
