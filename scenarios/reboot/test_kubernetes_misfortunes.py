"""Nodes of a Kubernetes go together, or while they boot, or for ever, while the cluster is in use."""

from math import inf
from random import Random

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults import Inject, PowerFlap, RackOff, ServersOff
from vdc.faults.selectors import rack, rack_of
from vdc.observe.checkers import judge
from vdc.observe.service import Prober
from vdc.rolling.history import at_most_away, causes_agree, restarted_once, seen_to_start
from vdc.rolling.lives import in_use, judge_life
from vdc.rolling.misfortunes import wait_missed, without_root
from vdc.rolling.queue import Limits
from vdc.rolling.reboots import How, roll, stopping_at
from vdc.rolling.witness import judge_all_restarted

pytestmark = [pytest.mark.reboot, pytest.mark.nightly]

NODE_LOST = 20.0
"""Seconds. Routers miss a server after BFD towards guests (5 s); the rest is for proxies that turn to another API
server, and for clients that wait for what was sent to the lost one."""

RETURNING = 120.0
"""Seconds from the beginning of a node's boot until all that it serves is there. An emulated guest boots in 25 s, its
API server answers a minute after that, and a node starts its pods when it has that."""

CUTS, BOOTING = 3, 8.0
"""So often does a node's power go again, within so many seconds: it has hardly started when it goes."""


def test_a_rack_that_loses_its_power_is_missed_by_nobody_in_others(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """ToRs and nodes lose their power together: what is in other racks serves on, and the rack does so again."""
    lost = rack_of(dc, kubernetes.node_names[-1])
    with in_use(dc, kubernetes, probe) as life, inject(RackOff(lost)):
        pass
    judge_all_restarted(
        life.witness, servers=[name for name in kubernetes.node_names if name in rack(dc, lost).servers]
    )
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


def test_all_workers_come_back_from_a_loss_of_power(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """What the control plane serves goes on, and so does the load balancer. Pods come back where they were, with their
    volumes.
    """
    workers = tuple(name for name in kubernetes.node_names if name not in kubernetes.members)
    if not workers:
        pytest.skip("this cluster has no workers")
    with in_use(dc, kubernetes, probe) as life, inject(ServersOff(workers)):
        pass
    judge_all_restarted(life.witness, servers=workers)
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


def test_pods_serve_on_while_all_control_planes_are_without_power(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """Nobody has an API then, and users of workers do not notice; the control plane comes back with all it knew."""
    if set(kubernetes.members) == set(kubernetes.node_names):
        pytest.skip("this cluster has no workers")
    with in_use(dc, kubernetes, probe) as life, inject(ServersOff(kubernetes.members)):
        pass
    judge_all_restarted(life.witness, servers=kubernetes.members)
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


def test_all_nodes_start_again_from_dark(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """All nodes lose their power at once: an outage it is, but nothing acknowledged is lost, and all comes to rest."""
    with in_use(dc, kubernetes, probe) as life, inject(ServersOff(kubernetes.node_names)):
        pass
    judge_all_restarted(life.witness, servers=kubernetes.node_names)
    judge_life(life, longest=inf, returning=budget(dc, RETURNING))


def test_power_that_goes_again_and_again_while_a_node_boots_harms_nobody(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject, dice: Random
) -> None:
    """Its power comes and goes at moments of its boot that are drawn; then it stays, and so have its pods' data."""
    node = kubernetes.node_names[-1]
    flapping = PowerFlap((node,), times=CUTS + 1, within=BOOTING, seed=dice.randrange(1 << 32))
    with in_use(dc, kubernetes, probe) as life, inject(flapping):
        pass
    judge(causes_agree(life.witness.away), seen_to_start(life.witness.events, node, times=CUTS + 1))
    assert {absence.server for absence in life.witness.away} == {node}
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


@pytest.mark.console_may_say("panic", "file system", "I/O error")
def test_a_node_that_never_comes_back_stops_the_queue_and_is_replaced(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober
) -> None:
    """Its root disk is gone when it restarts: the queue stops, until another server with its data disk is the node."""
    node = kubernetes.node_names[-1]
    if node in kubernetes.members:
        pytest.skip("this cluster has no workers")
    with in_use(dc, kubernetes, probe) as life, without_root(dc, kubernetes, node):
        with stopping_at(node):
            roll(dc, kubernetes, how=How.BY_POWER, limits=Limits(patience=1.0), servers=[node])
        wait_missed(kubernetes, node)
        kubernetes.replace(node)
    away = life.witness.away
    judge(causes_agree(away), restarted_once(away, [node]), at_most_away(away, most=1))
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))
