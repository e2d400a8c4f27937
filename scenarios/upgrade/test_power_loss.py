"""Servers lose their power during an upgrade, and get it back: it is done all the same, and nobody notices."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter, Power
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, proven, under_load, upgrader
from vdc.upgrade.upgrader import Moment

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_server_that_loses_power_during_its_upgrade_is_upgraded(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Whenever a step leaves a server running, its power is cut at once, and comes back: it boots once more."""
    path = upgrades.path(PATH)
    struck: list[tuple[str, str]] = []

    def strike(node: str, step: str, moment: Moment) -> None:
        machine = dc.servers[node]
        if moment is Moment.BEGUN and machine.power() is Power.ON:
            machine.power_off()
            assert machine.power() is Power.OFF, f"{node} still has power"
            machine.power_on()
            struck.append((node, step))

    going = upgrader(dc, cluster, path, upgrades, boundary=strike)
    with proven(dc, cluster, path, going.way, upgrades=upgrades), under_load(dc, cluster, path, probe=probe):
        going.run()
    assert struck == [(node.name, step) for node in going.way.nodes for step in ("power on", "join")]
