"""What new files of a Kubernetes come from is lost amid one of them: pods run on, and with it back all goes on."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.observe.ordinary import settled
from vdc.observe.service import Prober
from vdc.upgrade.bringing import expect_stopped, expect_whole, snatch
from vdc.upgrade.kubernetes_trial import pods_stay, users_of
from vdc.upgrade.rounds import turns
from vdc.upgrade.trial import Upgrades, expect_release, upgrader

pytestmark = [
    pytest.mark.upgrade,
    pytest.mark.nightly,
    pytest.mark.releases("kubernetes-1.20-containerd-1.7"),
    pytest.mark.console_may_say("I/O error", "file system"),
]

PATH = "containerd-1.7"


@pytest.mark.upgrades(PATH, "under-fault")
def test_a_source_that_is_lost_leaves_the_old_runtime_whole_and_pods_run_on(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, upgrades: Upgrades
) -> None:
    """The disk of the release vanishes from each node as soon as a new file is half there; the next try has it."""
    path = upgrades.path(PATH)
    going = upgrader(dc, kubernetes, path, upgrades)
    settled(kubernetes)
    with pods_stay(kubernetes), users_of(dc, kubernetes, path, probe=probe):
        for number, (node, _) in enumerate(turns(going.way, going.limits), start=1):
            snatch(dc, node)
            expect_stopped(going, node, most=number, why="Input/output error")
            expect_whole(dc, path, node, upgrades, of=[path.origin])
            led = going.run(most=number)
            assert led == (node,), f"{led} was led, where {node} was left"
        assert going.run() == ()
    expect_release(dc, going.way, path, new=True)
    assert not dc.leftovers(), f"left behind: {dc.leftovers()}"
