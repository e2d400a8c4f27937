"""Servers that were given other firmware get the old one again, all of them."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.trial import (
    Upgrades,
    expect_release,
    installed,
    looks,
    returned,
    running,
    settled,
    under_load,
    upgrader,
)

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "firmware-uefi"


@pytest.mark.upgrades(PATH, "rollback-all")
def test_all_servers_start_by_the_old_firmware_again(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """All start by UEFI, and then all by what they had before: there is no point of no return."""
    path = upgrades.path(PATH)
    machines = [dc.servers[name] for name in cluster.members]
    going = upgrader(dc, cluster, path, upgrades)
    before = looks(dc, cluster)
    with under_load(dc, cluster, path, probe=probe):
        with rebooting(*machines):
            assert set(going.run()) == set(cluster.members)
        expect_release(dc, going.way, path, new=True)
        with rebooting(*machines):
            assert set(going.back()) == set(cluster.members)
    expect_release(dc, going.way, path, new=False)
    after = looks(dc, cluster)
    judge(running(dc, installed(dc, path), after, upgrades), returned(path, before, after), settled(dc, cluster))
