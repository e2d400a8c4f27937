"""Nodes of a Kubernetes restart as their users expect it: drained first, and not while something holds them up."""

from functools import partial

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults import Inject, ServersOff
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.observe.checkers import judge, no_write_lost
from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.ordinary import keeper_of_a_volume, settled, web_on_every_node
from vdc.observe.service import Prober
from vdc.observe.volume import writing
from vdc.rolling.drain import KubernetesDrain
from vdc.rolling.history import waited
from vdc.rolling.holding import PROTECTED, held_by_budget, held_by_namespace, wait_back
from vdc.rolling.queue import Order
from vdc.rolling.reboots import roll
from vdc.rolling.users import served
from vdc.rolling.witness import judge_all_restarted, judge_restarts, witnessing
from vdc.upgrade.kubernetes_trial import settled_down

pytestmark = [pytest.mark.reboot, pytest.mark.nightly]


HELD_AFTER = 20.0
"""Seconds. So long pods may take to leave before their node is in use again: longer than those that may leave take."""

NODE_LOST = 20.0
"""Seconds. Routers miss a server after BFD towards guests (5 s); the rest is for proxies that turn to another API
server, and for clients that wait for what was sent to the lost one."""

RETURNING = 60.0
"""Seconds. A node is back when it is Ready, and starts its pods only then; each takes seconds in an emulated guest."""


def test_all_nodes_are_drained_and_restarted_in_turn_the_control_plane_last(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober
) -> None:
    """Only what a node serves itself is away with it. Pods are in the end where they were, and what was acknowledged on
    a volume is there.
    """
    settled(kubernetes)
    volume = writing(kubernetes, partial(keeper_of_a_volume, kubernetes))
    users = probe.kubernetes(kubernetes, web_on_every_node(kubernetes))
    with users as seen, volume as watch, keeping_data(kubernetes), wait_back(kubernetes), witnessing(dc) as witness:
        roll(dc, kubernetes, drain=KubernetesDrain(kubernetes=kubernetes))
        wait_whole(dc, kubernetes)
    judge_restarts(witness, servers=kubernetes.node_names, most=1, order=Order.VOTERS_LAST)
    longest, returning = budget(dc, NODE_LOST), budget(dc, RETURNING)
    judge(
        served(seen, witness.away, members=kubernetes.members, longest=longest, returning=returning),
        no_write_lost(watch.operations, watch.final),
        settled_down(kubernetes),
    )


def test_a_node_waits_until_a_disruption_budget_lets_its_pods_go(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """As long as the budget allows no eviction the node stays, and is asked again; then it restarts, once."""
    node = kubernetes.node_names[-1]
    with keeping_data(kubernetes), witnessing(dc) as witness, held_by_budget(kubernetes, node) as hold:
        drain = KubernetesDrain(kubernetes=kubernetes, seconds=HELD_AFTER)
        roll(dc, kubernetes, servers=[node], drain=drain, held=hold.lift)
        wait_whole(dc, kubernetes)
    judge(waited(witness.events, witness.away, until=hold.lifted, because=hold.because))
    judge_restarts(witness, servers=[node], most=1)


def test_a_node_waits_for_the_pods_of_a_protected_namespace(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """Nobody evicts them: the node stays until they have gone by themselves; then it restarts, once."""
    node, drain = kubernetes.node_names[-1], KubernetesDrain(kubernetes=kubernetes, protected=frozenset({PROTECTED}))
    with keeping_data(kubernetes), witnessing(dc) as witness, held_by_namespace(kubernetes, node) as hold:
        roll(dc, kubernetes, servers=[node], drain=drain, held=hold.lift)
        wait_whole(dc, kubernetes)
    judge(waited(witness.events, witness.away, until=hold.lifted, because=hold.because))
    judge_restarts(witness, servers=[node], most=1)


def test_all_workers_come_back_from_a_loss_of_power(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """All workers lose their power at once: what the control plane serves goes on, and so does the load balancer. Their
    pods come back where they were, and so do their volumes.
    """
    workers = tuple(name for name in kubernetes.node_names if name not in kubernetes.members)
    if not workers:
        pytest.skip("this cluster has no workers")
    settled(kubernetes)
    volume = writing(kubernetes, partial(keeper_of_a_volume, kubernetes))
    users = probe.kubernetes(kubernetes, web_on_every_node(kubernetes), away=workers)
    with users as seen, volume as watch, keeping_data(kubernetes), wait_back(kubernetes), witnessing(dc) as witness:
        with inject(ServersOff(workers)):
            pass
        wait_whole(dc, kubernetes)
    judge_all_restarted(witness, servers=workers)
    judge(
        longest_flow_outage(seen, budget=budget(dc, NODE_LOST)),
        no_write_lost(watch.operations, watch.final),
        settled_down(kubernetes),
    )
