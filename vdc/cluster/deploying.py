"""Deploying on a data centre that others may use, too: one cluster on it, and one process at a time that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vdc.cluster.api import Cluster, Deployer
from vdc.cluster.changing import changing
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError


def deploy(
    dc: DataCenter, chosen: str, deployers: Mapping[str, Callable[[], Deployer]], *, what: str, retain: bool
) -> Cluster:
    """Deploy by the one of `deployers` that is chosen; others are told that `what` does so, meanwhile.

    Raises InputError, HostError, ClusterError, WaitTimeout: from the deployer, or another cluster is there already.
    """
    made = deployers[chosen]()
    made.check(dc.topology)
    with changing(dc, what):
        for other in deployers:
            if other != chosen and deployers[other]().begun(dc):
                raise ClusterError(
                    f"{dc.name} has a cluster already, or a part of one, by the deployer {other}",
                    hint=f"deploy {chosen} on a data centre of its own: vdc up FILE --name OTHER",
                )
        return made.deploy(dc, retain=retain)
