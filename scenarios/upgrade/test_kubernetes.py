"""Kubernetes itself is upgraded in place: pods run on, and users notice no more than that an API server restarts."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.kubernetes_trial import go_and_again
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("kubernetes-1.20-vdc1")]

PATH = "kubernetes-rebuilt"


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_another_kubernetes_goes_unnoticed_and_again_changes_nothing(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """All control planes are new before any kubelet is; every pod is the one that it was; again leaves all alone."""
    go_and_again(dc, kubernetes, upgrades.path(PATH), probe=probe, upgrades=upgrades)
