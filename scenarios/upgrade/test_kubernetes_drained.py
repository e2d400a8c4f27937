"""Kubernetes is upgraded node by node, each without its pods: these go elsewhere, and come back."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.kubernetes_trial import go_and_again
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("kubernetes-1.20-vdc1")]

PATH = "kubernetes-rebuilt-drain"


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_nodes_are_upgraded_without_their_pods_and_again_changes_nothing(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """A node has no pods that could leave while its kubelet is replaced, and those that belong there come back."""
    go_and_again(dc, kubernetes, upgrades.path(PATH), probe=probe, upgrades=upgrades)
