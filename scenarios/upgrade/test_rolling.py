"""A release replaces another, one server at a time, under load."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.pace import budget
from vdc.faults.proofs import keeping_data, others, rebooting, unchanged, versions, wait_whole
from vdc.observe.service import Prober, judge_service

pytestmark = [pytest.mark.upgrade, pytest.mark.releases("debian-13")]

OLD, NEW = "debian-12", "debian-13"
OLD_VERSIONS = {"kernel": "6.1.", "bird": "2.0.", "etcd": "3.4."}
NEW_VERSIONS = {"kernel": "6.12.", "bird": "2.17.", "etcd": "3.5."}
"""What the releases bring, as the beginning of each component's version."""

ONE_MEMBER_AWAY = 20.0
"""Seconds. A member that is shut down hands its leadership over, but on two cores the others may miss
heartbeats while it boots: one election (5-10 s) after BFD towards guests (5 s) is allowed at each step."""


def test_a_rolling_upgrade_of_the_operating_system_goes_unnoticed(
    dc: DataCenter, cluster: Cluster, probe: Prober
) -> None:
    """Every server gets a new root disk and keeps its data: kernel, BIRD and etcd are new, users content."""
    machines = [dc.servers[name] for name in cluster.members]
    assert {machine.release for machine in machines} == {OLD}
    before, members = versions(dc), {member.server: member.version for member in cluster.state()}
    assert others(before, OLD_VERSIONS) == ()
    with probe.etcd(cluster) as watch, keeping_data(cluster):
        for machine in machines:
            with dc.steps.step(f"upgrade {machine.name}"):
                _upgrade(machine, cluster)
            wait_whole(dc, cluster)
    after = versions(dc)
    assert set(after) == set(cluster.members) == set(members)
    assert all({"os", "kernel", "bird", "etcd"} <= set(components) for components in after.values())
    same = unchanged(before, after)
    assert not same, f"not upgraded: {', '.join(same)}"
    assert others(after, NEW_VERSIONS) == ()
    assert len({tuple(sorted(components.items())) for components in after.values()}) == 1
    assert [m.server for m in cluster.state() if not m.healthy or m.version == members[m.server]] == []
    judge_service(watch, longest=budget(dc, ONE_MEMBER_AWAY))


def _upgrade(machine: Machine, cluster: Cluster) -> None:
    """Give one server the new release, with its data kept, and let it rejoin."""
    with rebooting(machine):
        machine.shutdown()
        machine.reimage(NEW)
        machine.power_on()
    cluster.join(machine)
