"""All servers restart in turn, through a queue: one at a time, asked nicely or by losing power."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.observe.service import Prober, judge_service
from vdc.rolling.queue import Limits
from vdc.rolling.reboots import How, roll
from vdc.rolling.witness import judge_restarts, witnessing

pytestmark = [pytest.mark.reboot, pytest.mark.nightly]

ONE_MEMBER_AWAY = 20.0
"""Seconds. A member that is shut down hands its leadership over, but on two cores the others may miss
heartbeats while it boots: one election (5-10 s) after BFD towards guests (5 s) is allowed at each step."""

LEADER_LOST = 30.0
"""Seconds. An election begins after one to two election timeouts (5-10 s); two members that begin together may
split the vote, and begin again as long after that. The rest is for clients to turn to the new leader."""

LONGEST = {How.GRACEFULLY: ONE_MEMBER_AWAY, How.BY_POWER: LEADER_LOST}


@pytest.mark.parametrize("how", How)
def test_a_rolling_reboot_goes_unnoticed(dc: DataCenter, cluster: Cluster, probe: Prober, how: How) -> None:
    """Each server restarts once, never two at once, for the reason that was meant; users see at most a hiccup."""
    with probe.etcd(cluster) as watch, keeping_data(cluster), witnessing(dc) as witness:
        roll(dc, cluster, limits=Limits(at_once=1), how=how)
        wait_whole(dc, cluster)
    judge_restarts(witness, servers=cluster.members, most=1)
    judge_service(watch, longest=budget(dc, LONGEST[how]))
