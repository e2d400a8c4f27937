"""An ordinary day of Kubernetes on which something happens: pods move, volumes are written, components stop."""

import time
import uuid
from contextlib import ExitStack

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import NAMESPACE, VOLUME
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget
from vdc.faults import ApiServerUnreachable, ComponentsStopped, Cordoned, Inject
from vdc.faults.selectors import rack_of
from vdc.observe.asking import asking
from vdc.observe.idle import changed_settings, first_settings, settings
from vdc.observe.nodes import as_node, is_forbidden, mark, marked, noticing, wait_proxies
from vdc.observe.ordinary import (
    gated_pod,
    hidden_secret,
    keeper_of_a_volume,
    racks,
    web_of_every_rack,
    web_on_every_node,
)
from vdc.observe.pods import (
    become,
    kill,
    read,
    service_url,
    wait_all_answer,
    wait_placed,
    wait_pods,
    wait_refused,
    wait_unplaced,
    write,
)

pytestmark = pytest.mark.standard

ANSWERED = 10.0
"""Seconds. Clients of Go wait so long for a TLS handshake by default."""


def test_a_node_may_change_itself_and_nothing_of_others(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """With the credential of its kubelet, a node changes itself, but no other, and reads no secret of other's pods."""
    node, other, value = kubernetes.node_names[-1], kubernetes.node_names[0], uuid.uuid4().hex
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{hidden_secret(kubernetes)}"
    for done in (mark(dc, node, of=other, value=value), as_node(dc, node, "get", "--raw", path)):
        assert is_forbidden(done), f"{node} may `{' '.join(done.argv)}`: {done.stdout}{done.stderr}"
    done = mark(dc, node, of=node, value=value)
    assert done.status == 0, f"{node} may not change itself: {done.stderr}"
    assert marked(kubernetes, node) == value, f"{node} has changed itself, and the API does not have it so"
    assert marked(kubernetes, other) != value, f"{node} has changed {other}"


def test_replicas_are_spread_over_the_racks_and_wait_rather_than_be_not(
    dc: DataCenter, kubernetes: KubernetesCluster, inject: Inject
) -> None:
    """Of as many replicas as there are racks with nodes, each has a rack of its own. While the nodes of a rack take no
    pods, the replica of that rack finds no place, though other nodes have room.
    """
    last = rack_of(dc, kubernetes.node_names[-1])
    nodes = tuple(name for name in kubernetes.node_names if rack_of(dc, name) == last)
    with ExitStack() as stack:
        with inject(Cordoned(kubernetes, nodes)):
            replicas = stack.enter_context(web_of_every_rack(kubernetes))
            wait_unplaced(kubernetes, "spread", placed=replicas - 1)
        pods = wait_placed(kubernetes, "spread", replicas)
        assert {rack_of(dc, pod.node) for pod in pods} == racks(kubernetes), f"they are on {[pod.node for pod in pods]}"


def test_what_a_pod_wrote_to_its_volume_is_read_by_the_next(kubernetes: KubernetesCluster) -> None:
    """The pod is killed, and another one, with another uid, finds on its volume what that one wrote."""
    before, written = keeper_of_a_volume(kubernetes), uuid.uuid4().hex
    write(kubernetes, before, f"{VOLUME}/kept", written)
    kill(kubernetes, before)
    (after,) = wait_pods(kubernetes, "keeper", 1, unlike=before.uid)
    assert read(kubernetes, after, f"{VOLUME}/kept") == written


def test_the_api_answers_through_every_proxy_with_each_api_server_down_in_turn(
    dc: DataCenter, kubernetes: KubernetesCluster, inject: Inject
) -> None:
    """The loss of one of several is not noticed: no request fails but the one, at most, that it was just answering. The
    loss of the only one is told, and all is well again after it.
    """
    spare = len(kubernetes.members) > 1
    for server in kubernetes.members:
        with asking(kubernetes) as asked:
            begun = time.monotonic()
            with inject(ApiServerUnreachable(kubernetes, server)):
                lost = time.monotonic()
                asked.round()  # so that there is a request through each proxy while it is away
                wait_proxies(kubernetes, serving=spare, timeout=noticing(kubernetes))
            wait_proxies(kubernetes, serving=True, timeout=noticing(kubernetes))
        if spare:
            failed = asked.unexcused(begun, lost)
            assert not failed, f"{len(failed)} of {len(asked.requests)} requests failed: {failed}"
            assert asked.longest <= budget(dc, ANSWERED), f"a request took {asked.longest:.1f} s"


def test_a_pod_that_is_well_again_while_kube_proxy_is_down_is_routed_afterwards(
    kubernetes: KubernetesCluster, inject: Inject
) -> None:
    """kubernetes/kubernetes#92019: kube-proxy learns at its start what became ready while it was away."""
    node = kubernetes.node_names[-1]
    sources = [pod for pod in web_on_every_node(kubernetes) if pod.node == node]
    pod, url = gated_pod(kubernetes), service_url(kubernetes, "phoenix")
    become(kubernetes, pod, ready=False)
    wait_refused(kubernetes, url, sources)
    with inject(ComponentsStopped(kubernetes, (Component.KUBE_PROXY,), (node,))):
        become(kubernetes, pod, ready=True)
        wait_refused(kubernetes, url, sources)
    for source in sources:
        wait_all_answer(kubernetes, url, source, [pod])


def test_components_change_no_kernel_setting(kubernetes: KubernetesCluster, inject: Inject) -> None:
    """arp_ignore, arp_announce and rp_filter of every interface of a node are what they were before any component ran
    there, and stay so when kubelet and kube-proxy restart.
    """
    node = kubernetes.node_names[-1]
    first, before = first_settings(kubernetes, node), settings(kubernetes, node)
    with inject(ComponentsStopped(kubernetes, (Component.KUBELET, Component.KUBE_PROXY), (node,))):
        pass  # it is enough that they stopped
    kubernetes.wait_nodes_ready()
    after = settings(kubernetes, node)
    changed = (*changed_settings(first, before), *changed_settings(before, after))
    assert not changed, f"{node}: {'; '.join(changed)}"
