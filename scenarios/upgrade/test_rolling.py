"""A release replaces another, one server at a time, under load; and then it replaces itself."""

from dataclasses import replace

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.trial import Upgrades, marks, tried, unchanged, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.nightly
@pytest.mark.upgrades(PATH, "again")
def test_an_upgrade_to_the_release_that_runs_changes_nothing(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Nobody restarts, no program is started anew, and the leader stays."""
    path = upgrades.path(PATH)
    same = replace(path, target=path.origin, changes=())
    before = marks(dc, cluster)
    with under_load(dc, cluster, same, probe=probe):
        assert upgrader(dc, cluster, same, upgrades).run() == ()
    judge(unchanged(before, dc, cluster))


@pytest.mark.upgrades(PATH, "plain")
def test_a_rolling_upgrade_of_the_operating_system_goes_unnoticed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Every server gets a new root disk and keeps its data: kernel, BIRD and etcd are new, users content."""
    path = upgrades.path(PATH)
    machines = [dc.servers[name] for name in cluster.members]
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going, rebooting(*machines):
        assert set(going.run()) == set(cluster.members)
