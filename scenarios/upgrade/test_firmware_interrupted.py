"""Who gives servers other firmware dies between any two steps, and another one goes on: the result is the same."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, tried

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "firmware-uefi"


@pytest.mark.upgrades(PATH, "interrupted")
def test_who_flashes_is_killed_at_every_boundary_and_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """No server is left off or with half a firmware: the next upgrader goes on where that one was."""
    path = upgrades.path(PATH)
    reboots = rebooting(*(dc.servers[name] for name in cluster.members))
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going, reboots:
        die_at_every_boundary(dc, cluster, path, going.way, upgrades)
