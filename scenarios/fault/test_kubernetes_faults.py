"""Components of a Kubernetes die, and what they carry goes on without them."""

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import PORT
from vdc.faults import ComponentsStopped, Inject
from vdc.observe.ordinary import web_on_every_node
from vdc.observe.pods import Page, page_outside

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("component", [Component.KUBE_PROXY, Component.KUBELET, Component.API_SERVER])
def test_pods_are_reached_while_a_component_is_stopped_and_it_comes_back(
    kubernetes: KubernetesCluster, inject: Inject, component: Component
) -> None:
    """It is stopped on one server, which those notice who ask it; no pod is lost, and all nodes are Ready after it."""
    pods = web_on_every_node(kubernetes)
    server = kubernetes.members[0] if component is Component.API_SERVER else kubernetes.node_names[-1]
    with inject(ComponentsStopped(kubernetes, (component,), (server,))):
        for pod in pods:
            assert page_outside(kubernetes, f"http://{pod.address}:{PORT}/") == Page(pod.name, pod.node)
    kubernetes.wait_serving()
    kept = {pod.uid for pod in web_on_every_node(kubernetes)}
    assert kept == {pod.uid for pod in pods}, "pods were made anew"
