"""Firmware that only some servers have yet: they serve as one, one goes back, and nothing on the way breaks it."""

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
    die_at_every_boundary,
    expect_release,
    looks,
    returned,
    settled,
    tried,
    under_load,
    upgrader,
)
from vdc.upgrade.under_fault import lose_a_tor_in_each_step

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


@pytest.mark.upgrades(PATH, "interrupted")
def test_who_flashes_is_killed_at_every_boundary_and_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """No server is left off or with half a firmware: the next upgrader goes on where that one was."""
    path = upgrades.path(PATH)
    reboots = rebooting(*(dc.servers[name] for name in cluster.members))
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going, reboots:
        die_at_every_boundary(dc, cluster, path, going.way, upgrades)


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_tor_that_is_lost_while_servers_are_flashed_delays_nobody(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """From before each step of a server until its facts hold, the first ToR of its rack is without power."""
    lose_a_tor_in_each_step(dc, cluster, upgrades.path(PATH), probe=probe, inject=inject, upgrades=upgrades)
