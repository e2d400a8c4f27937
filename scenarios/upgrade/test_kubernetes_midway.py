"""A container runtime that only some nodes have yet: the cluster is one all the same, and a node may go back."""

import inspect

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.idle import quiet
from vdc.observe.ordinary import settled
from vdc.observe.service import Prober
from vdc.upgrade.kubernetes_trial import pods_stay, users_of
from vdc.upgrade.mixed import holds, scenarios
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, expect_release, upgrader

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("kubernetes-1.20-containerd-1.7")]

PATH = "containerd-1.7"

ORDINARY = (
    "standard/test_kubernetes.py::test_logs_are_read_and_commands_run_on_every_node",
    "standard/test_kubernetes.py::test_every_node_sends_the_requests_of_a_service_to_all_its_pods",
)
"""What must hold with two runtimes at once, as on any other day."""


@pytest.mark.upgrades(PATH, "hold")
@pytest.mark.upgrades(PATH, "rollback-one")
def test_two_runtimes_serve_as_one_and_nodes_go_back(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """After the first node and after all but one, scenarios of an ordinary day pass; then each goes back."""
    path = upgrades.path(PATH)
    going = upgrader(dc, kubernetes, path, upgrades)
    settled(kubernetes)
    with pods_stay(kubernetes):
        for number in holds(len(going.way.nodes)):
            with users_of(dc, kubernetes, path, probe=probe):
                going.run(most=number)
            new = {node.name for node in going.way.nodes if going.way.at(node.name) == path.target}
            assert len(new) == number, f"held after {number}, and {len(new)} have {path.target}"
            given = {"dc": dc, "kubernetes": kubernetes, "quiet": quiet(kubernetes)}
            for name, scenario in scenarios(ORDINARY):
                with dc.steps.step(f"with {number} new: {name}"):
                    scenario(**{each: given[each] for each in inspect.signature(scenario).parameters})
        with users_of(dc, kubernetes, path, probe=probe):
            assert going.back(sorted(new)[:1]) == tuple(sorted(new)[:1])
            going.back()
    expect_release(dc, going.way, path, new=False)


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrade_that_is_killed_at_every_boundary_is_resumed_under_running_pods(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The upgrader is killed where a step is done and not yet in its journal, and where it is, for each step."""
    path = upgrades.path(PATH)
    way = upgrader(dc, kubernetes, path, upgrades).way
    settled(kubernetes)
    with pods_stay(kubernetes), users_of(dc, kubernetes, path, probe=probe):
        die_at_every_boundary(dc, kubernetes, path, way, upgrades)
    expect_release(dc, way, path, new=True)
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
