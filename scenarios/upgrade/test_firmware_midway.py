"""Firmware that only some servers have yet: they serve as one, and one goes back."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import Inject
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.mixed import holds, play
from vdc.upgrade.trial import (
    Upgrades,
    expect_release,
    looks,
    returned,
    settled,
    under_load,
    upgrader,
)

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "firmware-uefi"

ORDINARY = (
    "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel",
    "standard/test_cluster.py::test_the_cluster_serves_through_every_member",
    "fault/test_fabric_faults.py::test_the_loss_of_one_tor_is_survived",
)
"""What must hold with two kinds of firmware at once, as on any other day."""


@pytest.mark.upgrades(PATH, "hold")
@pytest.mark.upgrades(PATH, "rollback-one")
def test_servers_of_both_kinds_serve_as_one_and_one_goes_back(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """After the first server and after all but one an ordinary day and a fault pass; then the first goes back."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    before, new = looks(dc, cluster), list[str]()
    for number in holds(len(going.way.nodes)):
        with under_load(dc, cluster, path, probe=probe):
            new += going.run(most=number)
        assert len(new) == number, f"held after {number}, and {new} were led"
        expect_release(dc, going.way, path, new=True, of=new)
        play(dc, ORDINARY, {"cluster": cluster, "probe": probe, "inject": inject})
    first = new[0]
    with under_load(dc, cluster, path, probe=probe), rebooting(dc.servers[first]):
        assert going.back([first]) == (first,)
    expect_release(dc, going.way, path, new=False, of=[first])
    after = looks(dc, cluster)
    judge(returned(path, {first: before[first]}, {first: after[first]}), settled(dc, cluster))
