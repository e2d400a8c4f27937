"""Services and clocks of servers go wrong while the servers, their cables and the fabric are well."""

import pytest

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults import ClockStepped, Inject, ServiceFrozen, ServiceKilled
from vdc.faults.inside import Unit
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import leader, wait_other_leader
from vdc.observe.service import Prober, judge_service

pytestmark = [pytest.mark.fault, pytest.mark.nightly]

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""

UNNOTICED = 5.0
"""Seconds. Elections and heartbeats go by the monotonic clock, which nobody sets; the rest is for retransmission."""

HOUR = 3600
"""Seconds. Longer than any lease or session of a cluster."""


def test_a_leader_that_hangs_is_replaced(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """Its connections stay open and nobody answers over them, as of a server whose disk stands still."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(ServiceFrozen(server, _member(cluster))):
            assert wait_other_leader(dc, cluster, than=server) != server
            cluster.wait_serving(members=[member for member in cluster.members if member != server])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_a_leader_that_is_killed_comes_back_by_itself(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """Its process dies, and its systemd starts another one; who leads then is theirs to say."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(ServiceKilled(server, _member(cluster))):
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_a_leader_whose_clock_jumps_an_hour_goes_unnoticed(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """No timer of the cluster goes by the time of day."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(ClockStepped(server, HOUR)):
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, UNNOTICED))


def _member(cluster: Cluster) -> Unit:
    return Unit(Component.ETCD if isinstance(cluster, KubernetesCluster) else "vdc-etcd")
