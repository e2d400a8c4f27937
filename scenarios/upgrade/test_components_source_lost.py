"""What new files are brought from is lost amid one of them: nothing is torn, and the upgrade goes on with it back."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.bringing import expect_stopped, expect_whole, snatch
from vdc.upgrade.trial import Upgrades, expect_release, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "under-fault")
@pytest.mark.console_may_say("I/O error", "file system")
def test_a_source_that_is_lost_amid_a_file_leaves_the_old_one_whole(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The disk of the release vanishes from each server as soon as a new file is half there; the next try has it."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    names = [node.name for node in going.way.nodes]
    with under_load(dc, cluster, path, probe=probe):
        for number, name in enumerate(names, start=1):
            snatch(dc, name)
            expect_stopped(going, name, most=number, why="Input/output error")
            expect_whole(dc, path, name, upgrades, of=[path.origin])
            led = going.run(most=number)
            assert led == (name,), f"{led} was led, where {name} was left"
        assert going.run() == ()
    expect_release(dc, going.way, path, new=True)
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
