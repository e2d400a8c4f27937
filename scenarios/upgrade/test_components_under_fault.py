"""The root disk of a server is full while it is upgraded in place: nothing is torn, and with room again it goes on."""

from contextlib import ExitStack

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import DiskFull, Inject
from vdc.observe.service import Prober
from vdc.upgrade.bringing import expect_stopped, expect_whole
from vdc.upgrade.trial import Upgrades, expect_release, under_load, upgrader
from vdc.upgrade.upgrader import Moment

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_full_disk_stops_the_step_that_brings_files_and_no_other(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """It is full from before each step until its facts hold, or it fails; what failed is done by the next upgrader."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    names = [node.name for node in going.way.nodes]
    struck: list[tuple[str, str]] = []
    stopped: list[str] = []
    with ExitStack() as faults:

        def strike(node: str, step: str, moment: Moment) -> None:
            if moment is Moment.BEFORE and (node, step) not in struck:
                struck.append((node, step))
                faults.enter_context(inject(DiskFull(node, "root")))
            if moment is Moment.DONE:
                faults.close()

        with under_load(dc, cluster, path, probe=probe):
            for name in names:
                troubled = upgrader(dc, cluster, path, upgrades, boundary=strike)
                expect_stopped(troubled, name, most=len(stopped) + 1, why="No space left on device")
                expect_whole(dc, path, name, upgrades, of=[path.origin])
                faults.close()
                stopped.append(name)
                led = troubled.run(most=len(stopped))
                assert led == (name,), f"{led} was led, where {name} was left"
            assert going.run() == ()
    expect_release(dc, going.way, path, new=True)
    assert stopped == names
    assert struck == [(name, step.name) for name in names for step in going.way.forward(name)]
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
