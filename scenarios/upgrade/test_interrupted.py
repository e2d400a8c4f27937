"""The upgrader dies between any two steps, and another one goes on: the result is the same."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import rebooting
from vdc.observe.service import Prober
from vdc.upgrade.trial import Upgrades, tried

pytestmark = [pytest.mark.upgrade, pytest.mark.nightly, pytest.mark.releases("debian-13")]

PATH = "os-debian-13"


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrader_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, cluster: Cluster, probe: Prober, upgrades: Upgrades
) -> None:
    """It is killed where a step is done and not yet in its journal, and where it is, for each step of each server."""
    path = upgrades.path(PATH)
    deaths: list[str] = []
    with tried(dc, cluster, path, probe=probe, upgrades=upgrades) as going:
        steps = sum(len(going.way.forward(node.name)) for node in going.way.nodes)
        with rebooting(*(dc.servers[name] for name in cluster.members)):
            while death := upgrades.killed(dc, cluster, path, recorded=len(deaths) % 2 == 1):
                dc.recorder.record("note", "harness", name=f"the upgrader was killed: {death}")
                deaths.append(death)
                assert len(deaths) <= 2 * steps, f"it gets no further: {deaths[-4:]}"
    assert len(deaths) == 2 * steps, f"killed {len(deaths)} times at {steps} steps: {deaths}"
