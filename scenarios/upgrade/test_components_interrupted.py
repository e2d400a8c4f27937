"""An upgrade in place whose upgrader dies between any two steps is done by those that come after it."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, proven, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrade_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The upgrader is killed twice at each step: before the step is in its journal, and where it is.

    Before that is in turns where nobody has waited for the step's facts yet, and where they hold.
    """
    path = upgrades.path(PATH)
    way = upgrader(dc, cluster, path, upgrades).way
    with proven(dc, cluster, path, way, upgrades=upgrades), under_load(dc, cluster, path, probe=probe):
        die_at_every_boundary(dc, cluster, path, way, upgrades)
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
