"""An ordinary day in the network of Kubernetes: pods, services, names, load balancers, and what upgrades once broke."""

from ipaddress import ip_address

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import NAMESPACE, PORT, SERVICE_PORT, gated, service
from vdc.datacenter.api import DataCenter
from vdc.faults import ComponentStopped, Inject
from vdc.faults.selectors import rack_of
from vdc.observe.idle import changed_settings, settings
from vdc.observe.pods import (
    Page,
    become,
    pages,
    running,
    service_url,
    wait_all_answer,
    wait_balanced,
    wait_known,
    wait_racks_answer,
    wait_refused,
    web_on_every_node,
)

pytestmark = pytest.mark.standard


def test_pods_reach_one_another_within_and_across_racks(kubernetes: KubernetesCluster) -> None:
    """From the pod of each node to those of all others, and nobody else answers at their addresses."""
    web = web_on_every_node(kubernetes)
    assert len(web) > 1
    for source in web:
        others = [pod for pod in web if pod != source]
        answers = pages(kubernetes, source, [f"http://{pod.address}:{PORT}/" for pod in others])
        assert answers == tuple(Page(pod.name, pod.node) for pod in others), f"from {source.node}"


def test_every_node_sends_the_requests_of_a_service_to_all_its_pods(kubernetes: KubernetesCluster) -> None:
    """Asked from a pod of any node, the address of the service is answered by each pod behind it, in time."""
    web = web_on_every_node(kubernetes)
    kubernetes.apply(*service("web", app="web"))
    for source in web:
        wait_all_answer(kubernetes, service_url(kubernetes, "web"), source, web)


def test_names_are_known_on_every_node_and_others_are_not(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """A service has its address, a headless one those of its pods, and a name that nobody has is refused."""
    web = web_on_every_node(kubernetes)
    kubernetes.apply(*service("web", app="web"), *service("each", app="web", kind="Headless"))
    address = kubernetes.get("Service", "web", namespace=NAMESPACE)["spec"]["clusterIP"]
    assert dc.topology.kubernetes is not None
    names = {"web": {address}, "each": {pod.address for pod in web}, "nobody": set[str]()}
    domain = f"{NAMESPACE}.svc.{dc.topology.kubernetes.domain}."
    for source in web:
        wait_known(kubernetes, source, {f"{name}.{domain}": frozenset(has) for name, has in names.items()})


def test_a_load_balancer_is_reached_from_outside_in_every_rack(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """Its address is of the pool, and clients outside come to a pod in each rack: those that are in the same rack."""
    web = web_on_every_node(kubernetes)
    kubernetes.apply(*service("outside", app="web", kind="LoadBalancer", local=True))
    address = ip_address(wait_balanced(kubernetes, "outside"))
    assert dc.topology.kubernetes is not None
    assert any(address in pool for pool in dc.topology.kubernetes.load_balancers), f"{address} is not of the pool"
    wait_racks_answer(kubernetes, f"http://{address}:{SERVICE_PORT}/", {rack_of(dc, pod.node) for pod in web})


def test_a_pod_that_is_well_again_while_kube_proxy_is_down_is_routed_afterwards(
    kubernetes: KubernetesCluster, inject: Inject
) -> None:
    """kubernetes/kubernetes#92019: kube-proxy learns at its start what became ready while it was away."""
    web, phoenix = web_on_every_node(kubernetes), gated("phoenix", node=kubernetes.node_names[-1])
    (pod,) = running(kubernetes, *phoenix, *service("phoenix", app="phoenix"), app="phoenix", pods=1)
    url = service_url(kubernetes, "phoenix")
    become(kubernetes, pod, ready=False)
    wait_refused(kubernetes, url, web)
    with inject(ComponentStopped(kubernetes, Component.KUBE_PROXY, kubernetes.node_names)):
        become(kubernetes, pod, ready=True)
    for source in web:
        wait_all_answer(kubernetes, url, source, [pod])


def test_no_kernel_setting_changes_while_components_restart(kubernetes: KubernetesCluster, inject: Inject) -> None:
    """arp_ignore, arp_announce and rp_filter of every interface are what they were before kubelet and kube-proxy
    restarted.
    """
    web_on_every_node(kubernetes)
    before = settings(kubernetes)
    for component in (Component.KUBELET, Component.KUBE_PROXY):
        with inject(ComponentStopped(kubernetes, component, kubernetes.node_names)):
            pass  # it is enough that it stopped
    kubernetes.wait_nodes_ready()
    changed = changed_settings(before, settings(kubernetes))
    assert not changed, "\n".join(changed)
