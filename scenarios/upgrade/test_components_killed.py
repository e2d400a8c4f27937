"""The upgrader dies while it brings files to a server, which goes on with what it was told: another one takes over."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.bringing import bringing, expect_whole
from vdc.upgrade.trial import Upgrades, proven, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrader_that_is_killed_while_it_brings_files_is_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """It is killed inside the step, at each server; each program is whole then, the old one or the new one."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    names = [node.name for node in going.way.nodes]
    with proven(dc, cluster, path, going.way, upgrades=upgrades), under_load(dc, cluster, path, probe=probe):
        for number, name in enumerate(names, start=1):
            assert upgrades.killed_inside(dc, cluster, path, bringing(dc, name)) == name
            left = [each for each in dc.leftovers() if name in each]
            assert left, f"it did not die inside the step: no disk is left in {name}"
            expect_whole(dc, path, name, upgrades, of=[path.origin, path.target])
            going.run(most=number)
        assert going.run() == ()
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
