"""Users of a Kubernetes, over every way that they have to it, while something under it breaks."""

from functools import partial

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import ComponentsStopped, Inject, RouterOff
from vdc.faults.selectors import spine
from vdc.observe.checkers import judge, no_write_lost
from vdc.observe.flow_checkers import judge_flows
from vdc.observe.ordinary import keeper_of_a_volume, web_on_every_node
from vdc.observe.pods import kill, wait_pods
from vdc.observe.service import Prober
from vdc.observe.volume import writing

pytestmark = pytest.mark.fault

SPINE_LOST = 10.0
"""Seconds. Neighbours lose the carrier at once; the rest is for retransmission, and for guests that are slow to ask."""

SERVER_LOST = 15.0
"""Seconds. Proxies give up an API server after a few seconds, and their servers have to be asked again after it."""


def test_the_loss_of_a_spine_is_survived_by_every_way_to_the_cluster(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """API servers and proxies over new and reused connections, pods, the load balancer and names: all go on."""
    lost = spine(dc, 0)
    with probe.kubernetes(kubernetes, web_on_every_node(kubernetes)) as watch:
        with inject(RouterOff(lost)):
            wait_converged(dc, down=[lost])
        wait_converged(dc)
    judge_flows(watch, longest=budget(dc, SPINE_LOST))


@pytest.mark.nightly  # an emulated API server that starts under its users' requests takes minutes
def test_an_api_server_that_is_stopped_is_missed_only_by_those_who_ask_it_alone(
    dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober, inject: Inject
) -> None:
    """Proxies turn to the others, if there are any, and what pods serve goes on in any case."""
    server = kubernetes.members[0]
    away = [server] if len(kubernetes.members) > 1 else kubernetes.node_names
    with probe.kubernetes(kubernetes, web_on_every_node(kubernetes), away=away) as watch:
        with inject(ComponentsStopped(kubernetes, (Component.API_SERVER,), (server,))):
            pass  # it is enough that it stopped
        kubernetes.wait_serving()
    judge_flows(watch, longest=budget(dc, SERVER_LOST))


def test_what_was_acknowledged_on_a_volume_outlives_its_pod(kubernetes: KubernetesCluster) -> None:
    """Lines are written and synced all the time while the pod is deleted and another one takes the volume."""
    before = keeper_of_a_volume(kubernetes)
    with writing(kubernetes, partial(keeper_of_a_volume, kubernetes)) as watch:
        kill(kubernetes, before)
        wait_pods(kubernetes, "keeper", 1, unlike=before.uid)
    judge(no_write_lost(watch.operations, watch.final))
