"""What an upgrade stands while it is gone: the demands that scenarios of several paths share."""

from __future__ import annotations

from contextlib import ExitStack

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults import Inject, RouterOff
from vdc.faults.selectors import rack, rack_of
from vdc.observe.service import Prober
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.trial import Upgrades, proven, under_load, upgrader
from vdc.upgrade.upgrader import Moment


def lose_a_tor_in_each_step(
    dc: DataCenter, cluster: Cluster, path: UpgradePath, *, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """Demand that a path is gone by all, unnoticed, though the first ToR of a server's rack has no power meanwhile.

    It is lost before each step and comes back when the facts of that hold. Only what a server does last must hold with
    all of the fabric: there the ToR comes back when the step was begun.

    Raises AssertionError, WaitTimeout.
    """
    first = {name: rack(dc, rack_of(dc, name)).routers[0] for name in cluster.members}
    struck: list[tuple[str, str]] = []
    with ExitStack() as faults:

        def strike(node: str, step: str, moment: Moment) -> None:
            if moment is Moment.BEFORE:
                faults.enter_context(inject(RouterOff(first[node])))
                struck.append((node, step))
            if moment is (Moment.BEGUN if step == going.way.forward(node)[-1].name else Moment.DONE):
                faults.close()

        going = upgrader(dc, cluster, path, upgrades, boundary=strike)
        whole = proven(dc, cluster, path, going.way, upgrades=upgrades)
        with whole, under_load(dc, cluster, path, probe=probe, besides=first.values()):
            going.run()
    assert struck == [(node.name, step.name) for node in going.way.nodes for step in going.way.forward(node.name)]
