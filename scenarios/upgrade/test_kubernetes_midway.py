"""Parts of a Kubernetes that only some nodes have yet: the cluster is one all the same, and a node may go back."""

from functools import partial

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.idle import quiet
from vdc.observe.service import Prober
from vdc.upgrade.kubernetes_trial import hold_and_return, proven_in_place, users_of
from vdc.upgrade.mixed import play
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, upgrader

pytestmark = [
    pytest.mark.upgrade,
    pytest.mark.nightly,
    pytest.mark.releases("kubernetes-1.20-containerd-1.7", "kubernetes-1.20-vdc1"),
]

RUNTIME = "containerd-1.7"
ITSELF = "kubernetes-rebuilt"

ORDINARY = (
    "standard/test_kubernetes.py::test_logs_are_read_and_commands_run_on_every_node",
    "standard/test_kubernetes.py::test_every_node_sends_the_requests_of_a_service_to_all_its_pods",
)
"""What must hold with two versions at once, as on any other day."""


@pytest.mark.upgrades(RUNTIME, "hold")
@pytest.mark.upgrades(RUNTIME, "rollback-one")
@pytest.mark.upgrades(RUNTIME, "rollback-all")
def test_two_runtimes_serve_as_one_and_nodes_go_back(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """After the first node and all but one an ordinary day passes, and one goes back; then all go on, and all back."""
    path = upgrades.path(RUNTIME)
    hold_and_return(
        dc, kubernetes, path, probe=probe, upgrades=upgrades, ordinary=partial(ordinary_day, dc, kubernetes)
    )


@pytest.mark.upgrades(ITSELF, "hold")
@pytest.mark.upgrades(ITSELF, "rollback-one")
@pytest.mark.upgrades(ITSELF, "rollback-all")
def test_two_kubernetes_serve_as_one_and_nodes_go_back(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """So do a new control plane, and kubelets: after the first turn, half and all but one; kubelets go back first."""
    path = upgrades.path(ITSELF)
    hold_and_return(
        dc, kubernetes, path, probe=probe, upgrades=upgrades, ordinary=partial(ordinary_day, dc, kubernetes)
    )


@pytest.mark.upgrades(RUNTIME, "interrupted")
def test_an_upgrade_that_is_killed_at_every_boundary_is_resumed_under_running_pods(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The upgrader is killed where a step is done and not yet in its journal, and where it is, for each step."""
    interrupted(dc, kubernetes, RUNTIME, probe, upgrades)


@pytest.mark.upgrades(ITSELF, "interrupted")
def test_an_upgrade_of_kubernetes_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The same for Kubernetes itself, whose nodes go two rounds."""
    interrupted(dc, kubernetes, ITSELF, probe, upgrades)


def interrupted(dc: DataCenter, kubernetes: KubernetesCluster, name: str, probe: Prober, upgrades: Upgrades) -> None:
    """Demand that upgraders die at every boundary of a path, and that users and pods notice none of it."""
    path = upgrades.path(name)
    way = upgrader(dc, kubernetes, path, upgrades).way
    whole = proven_in_place(dc, kubernetes, path, way, upgrades=upgrades)
    with whole, users_of(dc, kubernetes, path, probe=probe):
        die_at_every_boundary(dc, kubernetes, path, way, upgrades)
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"


def ordinary_day(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """Play scenarios of an ordinary day."""
    play(dc, ORDINARY, {"kubernetes": kubernetes, "quiet": quiet(kubernetes)})
