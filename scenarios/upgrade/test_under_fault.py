"""A router is lost during each step of an upgrade, and comes back: it is done all the same, and nobody notices."""

from contextlib import ExitStack

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import Inject, RouterOff
from vdc.faults.selectors import rack, rack_of
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, proven, under_load, upgrader
from vdc.upgrade.upgrader import Moment

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_tor_that_is_lost_during_each_step_delays_nobody(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """From before each step of a server until its facts hold, the first ToR of its rack is without power.

    Only what a server does last must hold with all of the fabric: there the ToR comes back when the step was begun.
    """
    path = upgrades.path(PATH)
    first = {name: rack(dc, rack_of(dc, name)).routers[0] for name in cluster.members}
    struck: list[tuple[str, str]] = []
    with ExitStack() as faults:

        def strike(node: str, step: str, moment: Moment) -> None:
            if moment is Moment.BEFORE:
                faults.enter_context(inject(RouterOff(first[node])))
                struck.append((node, step))
            if moment is (Moment.BEGUN if step == going.way.forward(node)[-1].name else Moment.DONE):
                faults.close()

        going = upgrader(dc, cluster, path, upgrades, boundary=strike)
        whole = proven(dc, cluster, path, going.way, upgrades=upgrades)
        with whole, under_load(dc, cluster, path, probe=probe, besides=first.values()):
            going.run()
    assert struck == [(node.name, step.name) for node in going.way.nodes for step in going.way.forward(node.name)]
