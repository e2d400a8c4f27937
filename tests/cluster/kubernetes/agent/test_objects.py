"""What the agent understands of the API's objects, from Kubernetes 1.20 on."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.cluster.kubernetes.agent.fake_api import endpoint, endpoint_slice, service
from vdc.cluster.kubernetes.agent.objects import Endpoint, read_service, read_slice

ADDRESS = IPv4Address("10.80.0.2")


def test_a_service_with_an_address() -> None:
    said = read_service(service("web", clusterIP="10.96.0.7", type="ClusterIP"))
    assert (said.key, said.cluster_ip) == ("vdc/web", IPv4Address("10.96.0.7"))
    assert not said.headless
    assert not said.balanced


def test_a_headless_service() -> None:
    said = read_service(service("web", clusterIP="None"))
    assert said.headless
    assert said.cluster_ip is None


def test_a_balanced_service() -> None:
    said = read_service(service("web", type="LoadBalancer", loadBalancerIP="10.140.0.2", ingress="10.140.0.1"))
    assert said.balanced
    assert (said.wanted, said.ingress) == (IPv4Address("10.140.0.2"), (IPv4Address("10.140.0.1"),))


def test_a_service_of_another_kind_of_load_balancer_is_not_ours() -> None:
    assert not read_service(service("web", type="LoadBalancer", loadBalancerClass="other.io/x")).balanced
    assert read_service(service("web", type="LoadBalancer", loadBalancerClass="vdc.local/bgp")).balanced


def test_a_service_that_shows_a_name_has_no_address() -> None:
    said = service("web", type="LoadBalancer")
    said["status"]["loadBalancer"]["ingress"] = [{"hostname": "lb.example.org"}]
    assert read_service(said).ingress == ()


@pytest.mark.parametrize("where", [{"nodeName": "n0"}, {"topology": {"kubernetes.io/hostname": "n0"}}])
def test_the_node_of_an_endpoint_is_known_from_either_version_of_the_api(where: dict[str, object]) -> None:
    said = {"addresses": ["10.80.0.2"], "conditions": {"ready": True}, "hostname": "web-0", **where}
    found = read_slice(endpoint_slice("web", said))
    assert found.service == "vdc/web"
    assert found.endpoints == (Endpoint(address=ADDRESS, ready=True, node="n0", hostname="web-0"),)


@pytest.mark.parametrize(("said", "ready"), [(True, True), (False, False), (None, True)])
def test_unknown_readiness_counts_as_ready(said: bool | None, ready: bool) -> None:
    assert read_slice(endpoint_slice("web", endpoint("10.80.0.2", ready=said))).endpoints[0].ready is ready


def test_a_slice_without_endpoints_or_of_another_family_is_empty() -> None:
    assert read_slice({"metadata": {"namespace": "vdc", "name": "x"}, "endpoints": None}).endpoints == ()
    assert read_slice(endpoint_slice("web", endpoint("fd00::1"))).endpoints == ()
