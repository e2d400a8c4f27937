"""A router is lost while servers are flashed, and comes back: it is done all the same, and nobody notices."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import Inject
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades
from vdc.upgrade.under_fault import lose_a_tor_in_each_step

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "firmware-uefi"


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_tor_that_is_lost_while_servers_are_flashed_delays_nobody(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """From before each step of a server until its facts hold, the first ToR of its rack is without power."""
    lose_a_tor_in_each_step(dc, cluster, upgrades.path(PATH), probe=probe, inject=inject, upgrades=upgrades)
