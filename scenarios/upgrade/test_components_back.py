"""An upgrade of etcd in place is taken back while that is possible, and refused when it no longer is."""

import pytest

from vdc.cluster.api import Cluster, TellsVersion
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.trial import Upgrades, expect_no_return, expect_release, looks, returned, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "rollback-one")
@pytest.mark.upgrades(PATH, "rollback-all")
def test_members_go_back_before_the_last_was_upgraded_and_none_afterwards(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """While one member is old all others may go back; once the cluster speaks the new version, none may."""
    assert isinstance(cluster, TellsVersion)
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    expect_release(dc, going.way, path, new=False)
    old, before = cluster.cluster_version(), looks(dc, cluster)
    with under_load(dc, cluster, path, probe=probe):
        (first,) = going.run(most=1)
        assert going.back([first]) == (first,)
        new = going.run(most=len(cluster.members) - 1)
        assert set(going.back()) == set(new) != set()
    expect_release(dc, going.way, path, new=False)
    assert cluster.cluster_version() == old, f"the data are of {cluster.cluster_version()}, not {old}"
    judge(returned(path, before, looks(dc, cluster)))
    with under_load(dc, cluster, path, probe=probe):
        going.run()
    expect_release(dc, going.way, path, new=True)
    expect_no_return(going)
