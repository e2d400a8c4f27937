"""Disks break beneath a member of the cluster: it may be lost or late, and nothing acknowledged may be."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.disks import Operation
from vdc.datacenter.pace import budget
from vdc.faults import DiskErrors, DiskSlow, Inject, PowerLost
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import follower, leader, wait_other_leader
from vdc.observe.service import Prober, judge_service

pytestmark = pytest.mark.fault

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""

FOLLOWER_LOST = 20.0
"""Seconds. Nothing is elected; clients of the member that is lost turn to others, after a timeout of theirs."""

SLOW = 5
"""Reads and writes a second: less than a member needs to keep up."""


def test_a_power_cut_that_loses_what_was_not_flushed_loses_no_acknowledged_write(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """The leader's power goes and its disk forgets or tears what it was not told to keep: it kept all that counts."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(PowerLost(server)):
            assert wait_other_leader(dc, cluster, than=server) != server
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, LEADER_LOST))


@pytest.mark.nightly
@pytest.mark.console_may_say("I/O error", "file system")
def test_a_member_whose_disk_fails_is_done_without(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """A follower can no longer write; the others go on, and it is a member again when its disk is well."""
    server = follower(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(DiskErrors(server, (Operation.WRITE, Operation.FLUSH))):
            cluster.wait_serving(members=[member for member in cluster.members if member != server])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, FOLLOWER_LOST))


@pytest.mark.nightly
def test_nobody_waits_for_a_member_whose_disk_is_slow(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """A follower's disk hardly serves any more; a majority is quick without it."""
    server = follower(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with inject(DiskSlow(server, operations=SLOW)):
            cluster.wait_serving(members=[member for member in cluster.members if member != server])
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, FOLLOWER_LOST))
