"""What Kubernetes stands on is upgraded in place: pods run on, and nobody notices."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.kubernetes_trial import go_and_again
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("kubernetes-1.20-containerd-1.7")]

PATH = "containerd-1.7"


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_another_container_runtime_goes_unnoticed_and_again_changes_nothing(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Every node runs the new one, and every pod the containers that it had; a second upgrade leaves all alone."""
    go_and_again(dc, kubernetes, upgrades.path(PATH), probe=probe, upgrades=upgrades)
