"""Nodes of a Kubernetes restart as their users expect it: drained first, and not while something holds them up."""

import pytest

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.observe.checkers import judge
from vdc.observe.service import Prober
from vdc.rolling.drain import KubernetesDrain
from vdc.rolling.history import waited
from vdc.rolling.holding import PROTECTED, Hold, held_by_budget, held_by_namespace
from vdc.rolling.lives import Life, in_use, judge_life
from vdc.rolling.queue import Order
from vdc.rolling.reboots import How, roll
from vdc.rolling.witness import judge_restarts

pytestmark = [pytest.mark.reboot, pytest.mark.nightly]


NODE_LOST = 20.0
"""Seconds. Routers miss a server after BFD towards guests (5 s); the rest is for proxies that turn to another API
server, and for clients that wait for what was sent to the lost one."""

RETURNING = 60.0
"""Seconds. A node is back when it is Ready, and starts its pods only then; each takes seconds in an emulated guest."""


@pytest.mark.parametrize("how", How)
def test_a_node_that_restarts_is_missed_by_nobody_who_does_not_need_it(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, how: How
) -> None:
    """Its pods stay with it, and so does their volume: they are there again when it is."""
    node = kubernetes.node_names[-1]
    with in_use(dc, kubernetes, probe) as life:
        roll(dc, kubernetes, servers=[node], how=how)
    judge_restarts(life.witness, servers=[node], most=1)
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


def test_all_nodes_are_drained_and_restarted_in_turn_the_control_plane_last(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober
) -> None:
    """Only what a node serves itself is away with it. Pods are in the end where they were, and what was acknowledged on
    a volume is there.
    """
    with in_use(dc, kubernetes, probe) as life:
        roll(dc, kubernetes, drain=KubernetesDrain(kubernetes=kubernetes))
    judge_restarts(life.witness, servers=kubernetes.node_names, most=1, order=Order.VOTERS_LAST)
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))


def test_a_node_waits_until_a_disruption_budget_lets_its_pods_go(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober
) -> None:
    """As long as the budget allows no eviction the node stays, and is asked again; then it restarts, once."""
    node, drain = kubernetes.node_names[-1], KubernetesDrain(kubernetes=kubernetes)
    with in_use(dc, kubernetes, probe) as life, held_by_budget(kubernetes, node) as hold:
        roll(dc, kubernetes, servers=[node], drain=drain, held=hold.lift)
    judge_held(life, hold, node)


def test_a_node_waits_for_the_pods_of_a_protected_namespace(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober
) -> None:
    """Nobody evicts them: the node stays until they have gone by themselves; then it restarts, once."""
    node, drain = kubernetes.node_names[-1], KubernetesDrain(kubernetes=kubernetes, protected=frozenset({PROTECTED}))
    with in_use(dc, kubernetes, probe) as life, held_by_namespace(kubernetes, node) as hold:
        roll(dc, kubernetes, servers=[node], drain=drain, held=hold.lift)
    judge_held(life, hold, node)


def judge_held(life: Life, hold: Hold, node: str) -> None:
    """Demand that a node was held up until that was lifted, and then restarted once, as its users expect it."""
    dc, witness = life.kubernetes.dc, life.witness
    judge(waited(witness.events, witness.away, until=hold.lifted, because=hold.because))
    judge_restarts(witness, servers=[node], most=1)
    judge_life(life, longest=budget(dc, NODE_LOST), returning=budget(dc, RETURNING))
