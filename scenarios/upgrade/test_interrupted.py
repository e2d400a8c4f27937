"""The upgrader dies between any two steps, and another one goes on: the result is the same."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, tried

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrader_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """It is killed twice at each step of each server: before the step is in its journal, and where it is.

    Before that is in turns where nobody has waited for the step's facts yet, and where they hold.
    """
    path = upgrades.path(PATH)
    reboots = rebooting(*(dc.servers[name] for name in cluster.members))
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going, reboots:
        die_at_every_boundary(dc, cluster, path, going.way, upgrades)
