"""The Kubernetes in memory: what scenarios' own tests rest on must itself behave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Caller, Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import gated, keeper, service, web, web_everywhere
from vdc.errors import ClusterError, InputError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.pods import look_up
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

TOPOLOGIES = Path(__file__).parents[2] / "topologies"

Make = Callable[..., FakeKubernetes]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a Kubernetes of k8s.yml that tells these lies."""

    def made(*lies: Lie, file: str = "k8s.yml") -> FakeKubernetes:
        return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / file)), tmp_path, lies=lies))

    return made


def test_it_is_what_scenarios_may_ask(make: Make) -> None:
    cluster: KubernetesCluster = make()
    assert isinstance(cluster, KubernetesCluster)
    assert cluster.members == ("rack0-cp0", "rack1-cp0", "rack2-cp0")
    assert cluster.node_names == (*cluster.members, "rack0-cs0", "rack1-ss0")
    assert {node.name for node in cluster.nodes() if node.control_plane} == set(cluster.members)


def test_a_data_centre_without_one_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="small has no Kubernetes"):
        FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path))


def test_it_serves_while_most_control_planes_do(make: Make) -> None:
    cluster = make()
    cluster.dc.servers["rack0-cs0"].power_off()
    cluster.dc.servers["rack0-cp0"].power_off()
    assert [member.healthy for member in cluster.state()] == [False, True, True]
    cluster.dc.servers["rack1-cp0"].power_off()
    with pytest.raises(WaitTimeout):
        cluster.wait_serving(members=["rack2-cp0"])


def test_a_node_that_is_down_is_not_ready_and_its_pods_do_not_answer(make: Make) -> None:
    cluster = make()
    cluster.apply(*web_everywhere("web"))
    (pod,) = [pod for pod in cluster.pods() if pod.node == "rack0-cs0"]
    cluster.dc.servers["rack0-cs0"].power_off()
    with pytest.raises(WaitTimeout, match="rack0-cs0"):
        cluster.wait_nodes_ready()
    with pytest.raises(ClusterError, match="does not answer"):
        cluster.fetch(f"http://{pod.address}:8080/", source="external")
    with pytest.raises(ClusterError, match="is not there"):
        cluster.logs(pod)


def test_what_is_deleted_is_gone_with_its_pods(make: Make) -> None:
    cluster = make()
    cluster.apply(*web("web", replicas=3), *keeper("keeper", node="rack1-ss0"))
    assert {pod.node for pod in cluster.pods(labels={"app": "keeper"})} == {"rack1-ss0"}
    cluster.delete(*web("web", replicas=3)[1:])
    assert [pod.name for pod in cluster.pods()] == ["keeper-0"]
    with pytest.raises(ClusterError, match="Deployment vdc/web: 404"):
        cluster.get("apps/v1 Deployment", "web", namespace="vdc")


def test_what_is_applied_again_does_not_change(make: Make) -> None:
    cluster = make()
    for _ in range(2):
        cluster.apply(*service("web", app="web", kind="LoadBalancer"))
    versions = [each["metadata"]["resourceVersion"] for each in cluster.list("Service", namespace="vdc")]
    assert len(versions) == 1
    assert versions == [each["metadata"]["resourceVersion"] for each in cluster.list("Service")]
    assert cluster.list("Service", namespace="other") == ()


def test_kube_proxy_sends_requests_to_what_it_knew_when_it_stopped(make: Make) -> None:
    cluster = make()
    cluster.apply(*gated("web", node="rack0-cs0"), *service("web", app="web"), *web_everywhere("client"))
    (pod,) = cluster.pods(labels={"app": "web"})
    source = cluster.pods(labels={"app": "client"})[0]
    url = f"http://{cluster.get('Service', 'web', namespace='vdc')['spec']['clusterIP']}/"
    cluster.stop(Component.KUBE_PROXY, source.node)
    cluster.run_in(pod, ["rm", "-f", "/tmp/ready"])
    assert cluster.fetch(url, source=source).body == f"{pod.name} {pod.node}\n"
    cluster.start(Component.KUBE_PROXY, source.node)
    with pytest.raises(ClusterError, match="does not answer"):
        cluster.fetch(url, source=source)


def test_nodes_join_leave_and_become_control_planes(make: Make) -> None:
    cluster = make()
    cluster.apply(*web_everywhere("web"))
    cluster.remove("rack0-cp0")
    assert cluster.members == ("rack1-cp0", "rack2-cp0")
    assert len(cluster.pods()) == 4
    cluster.join(cluster.dc.servers["rack0-cp0"])
    cluster.promote("rack0-cs0")
    assert [node.name for node in cluster.nodes() if node.control_plane][-1] == "rack0-cs0"
    assert len(cluster.pods()) == 5


def test_a_command_that_is_not_there_fails(make: Make) -> None:
    cluster = make()
    cluster.apply(*web_everywhere("web"))
    with pytest.raises(ClusterError, match="curl: not found"):
        cluster.run_in(cluster.pods()[0], ["curl", "-s"])


def test_a_control_plane_component_does_not_run_on_a_worker(make: Make) -> None:
    cluster = make()
    assert cluster.running(Component.API_SERVER, "rack0-cp0")
    assert not cluster.running(Component.API_SERVER, "rack0-cs0")
    with pytest.raises(ClusterError, match="no API server answers via rack0-cs0"):
        cluster.ask_api("/readyz", via="rack0-cs0")


def test_nothing_is_told_or_done_without_an_api_server(make: Make) -> None:
    cluster = make(file="k8s-small.yml")
    cluster.apply(*web_everywhere("web"))
    pod = cluster.pods()[0]
    (server,) = cluster.members
    cluster.stop(Component.API_SERVER, server)
    calls: list[Callable[[], object]] = [
        cluster.pods,
        lambda: cluster.list("Service"),
        lambda: cluster.get("Namespace", "vdc"),
        lambda: cluster.apply(*web_everywhere("web")),
        lambda: cluster.delete(*web_everywhere("web")),
        lambda: cluster.logs(pod),
        lambda: cluster.run_in(pod, ["hostname"]),
        cluster.nodes,
    ]
    for call in calls:
        with pytest.raises(ClusterError, match="no API server answers"):
            call()
    assert cluster.fetch(f"http://{pod.address}:8080/", source="external").status == 200


def test_logs_and_commands_are_the_kubelet_s(make: Make) -> None:
    cluster = make()
    cluster.apply(*web_everywhere("web"))
    pod = next(pod for pod in cluster.pods() if pod.node == "rack0-cs0")
    cluster.stop(Component.KUBELET, "rack0-cs0")
    with pytest.raises(ClusterError, match="is not there"):
        cluster.logs(pod)
    with pytest.raises(ClusterError, match="is not there"):
        cluster.run_in(pod, ["hostname"])


def test_a_service_answers_at_its_port_and_a_name_in_its_domain(make: Make) -> None:
    cluster = make()
    cluster.apply(*web_everywhere("web"), *service("web", app="web", kind="LoadBalancer"))
    found = cluster.get("Service", "web", namespace="vdc")
    outside = found["status"]["loadBalancer"]["ingress"][0]["ip"]
    source = cluster.pods()[0]
    assert cluster.fetch(f"http://{found['spec']['clusterIP']}:80/", source=source).status == 200
    for address in (found["spec"]["clusterIP"], outside):
        with pytest.raises(ClusterError, match="does not answer"):
            cluster.fetch(f"http://{address}:8080/", source=source)
    assert look_up(cluster, source, ["web.vdc.svc.cluster.local.", "web.vdc.svc.other."])["web.vdc.svc.other."] == set()


def test_who_may_not_is_refused(make: Make) -> None:
    cluster = make()
    assert cluster.ask_etcd("rack0-cp0").status == 200
    for caller in (Caller.NOBODY, Caller.STRANGER):
        assert cluster.ask_api("/api/v1/nodes", caller=caller).status in {401, 403}
        assert cluster.ask_kubelet("rack0-cs0", "/pods", caller=caller).status == 401
        with pytest.raises(ClusterError, match="etcd of rack0-cp0 does not answer"):
            cluster.ask_etcd("rack0-cp0", caller=caller)
    with pytest.raises(ClusterError, match="etcd of rack0-cs0 does not answer"):
        cluster.ask_etcd("rack0-cs0")
