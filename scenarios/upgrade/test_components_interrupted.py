"""An upgrade in place whose upgrader dies between any two steps is done by those that come after it."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, expect_release, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrade_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The upgrader is killed where a step is done and not yet in its journal, and where it is, for each step."""
    path = upgrades.path(PATH)
    way = upgrader(dc, cluster, path, upgrades).way
    steps = sum(len(way.forward(node.name)) for node in way.nodes)
    deaths: list[str] = []
    with under_load(dc, cluster, path, probe=probe):
        while death := upgrades.killed(dc, cluster, path, recorded=len(deaths) % 2 == 1):
            deaths.append(death)
            assert len(deaths) <= 2 * steps, f"it gets no further: {deaths[-4:]}"
    expect_release(dc, way, path, new=True)
    assert len(deaths) == 2 * steps, f"killed {len(deaths)} times at {steps} steps: {deaths}"
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
