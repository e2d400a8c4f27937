"""An upgrade is taken back: one server midway, all of them while that is possible, and none when it no longer is."""

import pytest

from vdc.cluster.api import Cluster, TellsVersion
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.trial import (
    Upgrades,
    expect_no_return,
    expect_release,
    looks,
    returned,
    running,
    settled,
    tried,
    under_load,
    upgrader,
)

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.upgrades(PATH, "rollback-one")
def test_one_server_goes_back_midway(dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades) -> None:
    """The first server that was upgraded has the old release again, with its data, and nobody notices."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    before = looks(dc, cluster)
    with under_load(dc, cluster, path, probe=probe):
        (first,) = going.run(most=1)
        assert going.way.at(first) == path.target
        with rebooting(dc.servers[first]):
            assert going.back([first]) == (first,)
    expect_release(dc, going.way, path, new=False)
    after = looks(dc, cluster)
    judge(running(dc, path.origin, after, upgrades), returned(path, before, after), settled(dc, cluster))


@pytest.mark.upgrades(PATH, "rollback-all")
def test_all_go_back_before_the_last_was_upgraded_and_none_afterwards(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """While one member is old the cluster speaks the old version, and its data are what old members can read.

    With the last one the cluster speaks the new version: from there on going back is refused, and nothing is touched.
    """
    assert isinstance(cluster, TellsVersion)
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    old, before = cluster.cluster_version(), looks(dc, cluster)
    with under_load(dc, cluster, path, probe=probe):
        new = going.run(most=len(cluster.members) - 1)
        assert set(going.back()) == set(new) != set()
    expect_release(dc, going.way, path, new=False)
    assert cluster.cluster_version() == old, f"the data are of {cluster.cluster_version()}, not {old}"
    after = looks(dc, cluster)
    judge(running(dc, path.origin, after, upgrades), returned(path, before, after))
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going:
        going.run()
    expect_no_return(going)
