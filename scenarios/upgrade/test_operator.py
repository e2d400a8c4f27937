"""An operator is upgraded under its users: its definition, its controller, and the objects that are stored."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import judge
from vdc.upgrade.operator.program import V2
from vdc.upgrade.operator.trial import (
    expect_no_return,
    expect_operator,
    marks,
    operator_upgrader,
    site_of,
    users_of,
)
from vdc.upgrade.operator.way import NODE
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "operator"


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
