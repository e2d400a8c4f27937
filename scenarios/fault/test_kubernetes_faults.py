"""Components of a Kubernetes die, and what they carry goes on without them."""

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import PORT
from vdc.faults import (
    CertificateExpired,
    ComponentsStopped,
    Fault,
    Inject,
    RestartStorm,
    ServiceFrozen,
    ServiceKilled,
)
from vdc.faults.inside import OfUnit, Unit
from vdc.observe.ordinary import web_on_every_node
from vdc.observe.pods import Page, page_outside

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("component", [Component.KUBE_PROXY, Component.KUBELET, Component.API_SERVER])
def test_pods_are_reached_while_a_component_is_stopped_and_it_comes_back(
    kubernetes: KubernetesCluster, inject: Inject, component: Component
) -> None:
    """It is stopped on one server, which those notice who ask it; no pod is lost, and all nodes are Ready after it."""
    _expect_pods_to_go_on(
        kubernetes, inject, ComponentsStopped(kubernetes, (component,), (_server(kubernetes, component),))
    )


@pytest.mark.nightly
@pytest.mark.parametrize("component", [Component.KUBELET, Component.RUNTIME, Component.API_SERVER])
def test_pods_are_reached_while_a_killed_component_comes_back_by_itself(
    kubernetes: KubernetesCluster, inject: Inject, component: Component
) -> None:
    """Its process dies, and its systemd starts another one, which finds all pods as they were."""
    _expect_pods_to_go_on(kubernetes, inject, ServiceKilled(_server(kubernetes, component), Unit(component)))


@pytest.mark.nightly
@pytest.mark.parametrize(
    "struck",
    [
        (Component.KUBELET, CertificateExpired),
        (Component.KUBE_PROXY, RestartStorm),
        (Component.RUNTIME, ServiceFrozen),
        (Component.API_SERVER, ServiceFrozen),
        (Component.API_SERVER, CertificateExpired),
    ],
    ids=lambda struck: f"{struck[0]}-{struck[1].__name__}",
)
def test_pods_are_reached_while_a_component_hangs_or_is_not_believed(
    kubernetes: KubernetesCluster, inject: Inject, struck: tuple[Component, type[OfUnit]]
) -> None:
    """Its processes stand still, or never run for long, or show a certificate that has expired."""
    component, befalls = struck
    _expect_pods_to_go_on(kubernetes, inject, befalls(_server(kubernetes, component), Unit(component)))


def _server(kubernetes: KubernetesCluster, component: Component) -> str:
    return kubernetes.members[0] if component is Component.API_SERVER else kubernetes.node_names[-1]


def _expect_pods_to_go_on(kubernetes: KubernetesCluster, inject: Inject, fault: Fault) -> None:
    pods = web_on_every_node(kubernetes)
    with inject(fault):
        for pod in pods:
            assert page_outside(kubernetes, f"http://{pod.address}:{PORT}/") == Page(pod.name, pod.node)
    kubernetes.wait_serving()
    kept = {pod.uid for pod in web_on_every_node(kubernetes)}
    assert kept == {pod.uid for pod in pods}, "pods were made anew"
