"""Restarts that go wrong: a rack without power, power that goes while a server boots, one that never comes back."""

from random import Random

import pytest

from vdc.cluster.api import Cluster, Replaces
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults import Inject, PowerFlap, PowerLost, RackOff
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.faults.selectors import follower, leader, rack, rack_of
from vdc.observe.checkers import judge
from vdc.observe.service import Prober, judge_service
from vdc.rolling.history import at_most_away, causes_agree, restarted_once, seen_to_start
from vdc.rolling.locally import keeping_locally, local_data
from vdc.rolling.misfortunes import without_root
from vdc.rolling.queue import Limits
from vdc.rolling.reboots import How, roll, stopping_at
from vdc.rolling.witness import judge_all_restarted, judge_restarts, witnessing

pytestmark = [pytest.mark.reboot, pytest.mark.nightly]

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""

CUTS, BOOTING = 3, 8.0
"""So often does a server's power go again, within so many seconds: it has hardly started when it goes."""


def test_a_rack_that_loses_its_power_comes_back(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject
) -> None:
    """The leader's rack loses its power, ToRs and all; what is in it restarts, once, and nothing else does."""
    lost = rack_of(dc, leader(dc, cluster))
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        with inject(RackOff(lost)):
            cluster.wait_serving(members=[name for name in cluster.members if rack_of(dc, name) != lost])
        wait_whole(dc, cluster)
    judge_all_restarted(witness, servers=[name for name in cluster.members if name in rack(dc, lost).servers])
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_power_that_goes_again_and_again_while_a_server_boots_harms_nobody(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, dice: Random
) -> None:
    """The leader's power comes and goes at moments of its boot that are drawn; then it stays, and so has the data."""
    server = leader(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        with inject(PowerFlap((server,), times=CUTS + 1, within=BOOTING, seed=dice.randrange(1 << 32))):
            pass
        wait_whole(dc, cluster)
    judge(causes_agree(witness.away), seen_to_start(witness.events, server, times=CUTS + 1))
    assert {absence.server for absence in witness.away} == {server}
    judge_service(watch, longest=budget(dc, LEADER_LOST))


def test_a_loss_of_power_takes_nothing_from_a_local_disk_that_was_synced(
    dc: DataCenter, cluster: Cluster, inject: Inject
) -> None:
    """A disk with a volatile cache loses its power: what nobody synced may be gone, and nothing else."""
    server = dc.topology.members[-1].name
    with witnessing(dc) as witness, keeping_locally(dc, server) as kept:
        with inject(PowerLost(server)):
            pass
        wait_whole(dc, cluster)
    judge(local_data(kept))
    judge_all_restarted(witness, servers=[server])


@pytest.mark.console_may_say("panic", "file system", "I/O error")
def test_a_server_that_never_comes_back_stops_the_queue_and_is_replaced(
    dc: DataCenter, cluster: Cluster, probe: Prober
) -> None:
    """Its root disk is gone when it restarts: nobody else goes, until another server has taken its place."""
    if not isinstance(cluster, Replaces):
        pytest.skip("in this cluster no server can take the place of another")
    server = follower(dc, cluster)
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        with witnessing(dc) as witness, without_root(dc, cluster, server):
            with stopping_at(server):
                roll(dc, cluster, how=How.BY_POWER, limits=Limits(patience=1.0), servers=[server])
            serving = [member.server for member in cluster.state() if member.healthy]
            assert server not in serving, f"{server} still serves"
            cluster.replace(server)
            wait_whole(dc, cluster)
        judge(causes_agree(witness.away), restarted_once(witness.away, [server]), at_most_away(witness.away, most=1))
        others = [name for name in cluster.members if name != server]
        with witnessing(dc) as after:
            roll(dc, cluster, servers=others)
            wait_whole(dc, cluster)
        judge_restarts(after, servers=others, most=1)
    judge_service(watch, longest=budget(dc, LEADER_LOST))
