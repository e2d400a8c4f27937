"""An operator is upgraded under its users: its definition, its controller, and the objects that are stored."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import judge
from vdc.upgrade.operator.program import V2
from vdc.upgrade.operator.trial import (
    HeldError,
    expect_no_return,
    expect_operator,
    held_after,
    marks,
    operator_upgrader,
    site_of,
    users_of,
)
from vdc.upgrade.operator.way import NODE
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "operator"
LAST_BUT_ONE = "convert the stored objects"


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_stored_objects_are_converted_under_their_users_and_again_changes_nothing(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """All is of the new version, in etcd, too; then nobody can go back, and a second upgrade touches nothing."""
    path = upgrades.path(PATH)
    going = operator_upgrader(dc, kubernetes, path, upgrades)
    with users_of(dc, kubernetes, path, probe=probe, going=going):
        expect_operator(going, path, new=False)
        assert going.run() == (NODE,)
        expect_operator(going, path, new=True)
    before = marks(site_of(going), V2)
    assert operator_upgrader(dc, kubernetes, path, upgrades).run() == ()
    judge(no_churn([before, marks(site_of(going), V2)]))
    expect_no_return(going)


@pytest.mark.upgrades(PATH, "rollback-all")
def test_an_operator_goes_back_while_the_old_version_is_in_its_definition(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """All objects are stored in the new version already; then they are stored in the old one, and nothing is lost."""
    path = upgrades.path(PATH)
    going = operator_upgrader(dc, kubernetes, path, upgrades, boundary=held_after(LAST_BUT_ONE))
    with users_of(dc, kubernetes, path, probe=probe, going=going):
        expect_operator(going, path, new=False)
        with pytest.raises(HeldError):
            going.run()
        assert operator_upgrader(dc, kubernetes, path, upgrades).back() == (NODE,)
        expect_operator(going, path, new=False)


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_operator_whose_upgrader_is_killed_at_every_boundary_is_upgraded(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """Killed when a step is done, and when it is in the journal: another one resumes, and nobody notices."""
    path = upgrades.path(PATH)
    going = operator_upgrader(dc, kubernetes, path, upgrades)
    with users_of(dc, kubernetes, path, probe=probe, going=going):
        expect_operator(going, path, new=False)
        deaths: list[str] = []
        while death := upgrades.killed(dc, kubernetes, path, recorded=len(deaths) % 2 == 1):
            deaths.append(death)
        assert len(deaths) >= len(going.way.forward(NODE)), f"killed only {deaths}"
        expect_operator(going, path, new=True)
