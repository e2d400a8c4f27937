"""The upgrader of an operator is killed again and again: in a data centre of its own, which begins with v1."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.operator.trial import expect_operator, operator_upgrader, users_of
from vdc.upgrade.operator.way import NODE
from vdc.upgrade.trial import Upgrades, dies_at

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "operator"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrader_of_it_is_killed_at_every_boundary_and_resumed(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Killed when a step is done, and when it is in the journal: another one resumes, and nobody notices."""
    path = upgrades.path(PATH)
    going = operator_upgrader(dc, kubernetes, path, upgrades)
    with users_of(dc, kubernetes, path, probe=probe, going=going):
        expect_operator(going, path, new=False)
        deaths: list[str] = []
        while death := upgrades.killed(dc, kubernetes, path, moment=dies_at(len(deaths))):
            deaths.append(death)
        assert len(deaths) >= len(going.way.forward(NODE)), f"killed only {deaths}"
        expect_operator(going, path, new=True)
