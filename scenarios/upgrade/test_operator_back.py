"""An operator goes back while its definition has the old version: in a data centre of its own, which begins there."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.upgrade.operator.trial import HeldError, expect_operator, held_after, operator_upgrader, users_of
from vdc.upgrade.operator.way import NODE
from vdc.upgrade.trial import Upgrades

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly]

PATH = "operator"
LAST_BUT_ONE = "convert the stored objects"


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
