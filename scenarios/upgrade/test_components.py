"""A component of the servers is upgraded in place: new files and a restart, no reboot, and nobody notices."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.observe.verdict import judge
from vdc.upgrade.mixed import holds, play
from vdc.upgrade.trial import (
    Upgrades,
    expect_release,
    looks,
    marks,
    returned,
    tried,
    unchanged,
    under_load,
    upgrader,
)

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-12-etcd-3.5")]

PATH = "etcd-3.5"

ORDINARY = (
    "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel",
    "standard/test_cluster.py::test_the_cluster_serves_through_every_member",
)
"""What must hold with two versions at once, as on any other day."""


@pytest.mark.upgrades(PATH, "hold")
def test_two_versions_of_etcd_serve_as_one(dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades) -> None:
    """After the first member, half of them and all but one, scenarios of an ordinary day pass; then all go back."""
    path = upgrades.path(PATH)
    going = upgrader(dc, cluster, path, upgrades)
    before = looks(dc, cluster)
    for number in holds(len(going.way.nodes)):
        with under_load(dc, cluster, path, probe=probe):
            going.run(most=number)
        new = {node.name for node in going.way.nodes if going.way.at(node.name) == path.target}
        assert len(new) == number, f"held after {number}, and {len(new)} have {path.target}"
        assert len({member.version for member in cluster.state()}) == 2, "all members are of one version"
        with dc.steps.step(f"an ordinary day with {number} new"):
            play(dc, ORDINARY, {"cluster": cluster})
    going.back()
    expect_release(dc, going.way, path, new=False)
    judge(returned(path, before, looks(dc, cluster)))


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_a_rolling_upgrade_of_etcd_goes_unnoticed_and_again_changes_nothing(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Every member runs the new etcd on a server that was not rebooted; a second upgrade leaves all alone."""
    path = upgrades.path(PATH)
    boots = {name: dc.servers[name].boot_id() for name in cluster.members}
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going:
        assert set(going.run()) == set(cluster.members)
    assert boots == {name: dc.servers[name].boot_id() for name in cluster.members}
    before = marks(dc, cluster)
    assert upgrader(dc, cluster, path.again, upgrades).run() == ()
    judge(unchanged(before, dc, cluster))
