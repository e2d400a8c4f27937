"""Servers get other firmware, one after the other: they start by it from then on, and nobody notices."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting, wait_whole
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.firmware_trial import read_variables, start_by, write_variables
from vdc.upgrade.trial import (
    Upgrades,
    expect_release,
    marks,
    tried,
    unchanged,
    upgrader,
)

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "firmware-uefi"
NEWER = "firmware-ovmf-2025.02"


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_servers_start_by_uefi_and_again_changes_nothing(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Each starts by UEFI, with the disks that it had; a second upgrade leaves all alone."""
    path = upgrades.path(PATH)
    machines = [dc.servers[name] for name in cluster.members]
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going, rebooting(*machines):
        assert set(going.run()) == set(cluster.members)
    before = marks(dc, cluster)
    assert upgrader(dc, cluster, path.again, upgrades).run() == ()
    judge(unchanged(before, dc, cluster))


@pytest.mark.upgrades(NEWER, "plain")
def test_a_newer_uefi_has_the_variables_of_the_older_one_and_stays(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """What each UEFI was told to keep is there afterwards; and a server that is reset starts by the new one again."""
    path = upgrades.path(NEWER)
    start_by(dc, cluster, path.origin)
    written = write_variables(dc, cluster)
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going:
        assert set(going.run()) == set(cluster.members)
    found = read_variables(dc, cluster)
    assert found == written, f"not the variables of before: {found}"
    last = dc.servers[cluster.members[-1]]
    with rebooting(last):
        last.reset()
    wait_whole(dc, cluster)
    expect_release(dc, going.way, path, new=True)
    found = read_variables(dc, cluster)
    assert found == written, f"not the variables of before, after a reset: {found}"
