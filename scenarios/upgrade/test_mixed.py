"""An upgrade stands still half-way: an ordinary day, and a fault, are survived with two releases at once."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import Inject
from vdc.observe.service import Prober
from vdc.upgrade.mixed import holds, play
from vdc.upgrade.trial import Upgrades, expect_release, under_load, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"

ORDINARY = (
    "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel",
    "standard/test_fabric.py::test_every_pair_of_racks_is_joined_over_every_spine",
    "standard/test_cluster.py::test_the_cluster_serves_through_every_member",
    "fault/test_fabric_faults.py::test_the_loss_of_one_tor_is_survived",
)
"""What must hold with two releases at once, as on any other day."""


@pytest.mark.upgrades(PATH, "hold")
def test_two_releases_at_once_serve_as_one(
    dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """After the first member, half of them and all but one, scenarios of an ordinary day and of a fault pass."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    expect_release(dc, going.way, path, new=False)
    for number in holds(len(going.way.nodes)):
        with under_load(dc, cluster, path, probe=probe):
            going.run(most=number)
        new = {node.name for node in going.way.nodes if going.way.at(node.name) == path.target}
        assert len(new) == number, f"held after {number}, and {len(new)} have {path.target}"
        expect_release(dc, going.way, path, new=True, of=new)
        expect_release(dc, going.way, path, new=False, of={node.name for node in going.way.nodes} - new)
        assert len({member.version for member in cluster.state()}) > 1, "all members are of one version"
        with dc.steps.step(f"an ordinary day with {number} new"):
            play(dc, ORDINARY, {"cluster": cluster, "probe": probe, "inject": inject})
