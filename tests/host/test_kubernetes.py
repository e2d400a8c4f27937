"""A real Kubernetes: one control-plane node and one worker, deployed once for all of these tests."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from vdc.cluster.certificates import shown_until
from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes import rotation
from vdc.cluster.kubernetes.api import Caller, Component, Pod
from vdc.cluster.kubernetes.cluster import KUBELET_PORT, LiveKubernetes
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.record import Record
from vdc.cluster.kubernetes.workloads import NAMESPACE, VOLUME, keeper, service, web_everywhere
from vdc.datacenter import checkpoint_stores, fork, lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, WaitTimeout
from vdc.model.load import read_topology
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

FILE = Path(__file__).with_name("kubernetes.yml")
NAME = "kubernetes"
PLANE, WORKER = "rack0-cp0", "rack1-cs0"


@pytest.fixture(scope="module")
def dc(settings: Settings) -> Iterator[LiveDataCenter]:
    """The servers, with nothing on them."""
    steps = Steps()
    forget_checkpoints(settings)  # of tests that were killed
    made = lifecycle.up(lifecycle.prepare(read_topology(FILE), NAME, settings, steps), settings, steps)
    yield made
    lifecycle.down(made.name, settings, steps)
    forget_checkpoints(settings)


def forget_checkpoints(settings: Settings) -> None:
    """Remove those of the data centre of these tests, which must be down: it may live on one."""
    for kept in checkpoint_stores.checkpoints(settings):
        if kept.name == NAME:
            checkpoint_stores.remove(kept.name, kept.tag, settings)


@pytest.fixture(scope="module")
def kubernetes(dc: LiveDataCenter) -> LiveKubernetes:
    """The cluster, deployed."""
    return KubernetesDeployer().deploy(dc)


@pytest.fixture(scope="module")
def pods(kubernetes: LiveKubernetes) -> dict[str, Pod]:
    """A web server on each node, by the node."""
    kubernetes.apply(*web_everywhere("web"), *service("web", app="web"))

    def ready() -> dict[str, Pod]:
        found = {pod.node: pod for pod in kubernetes.pods(namespace=NAMESPACE, labels={"app": "web"}) if pod.ready}
        if found.keys() != {PLANE, WORKER}:
            raise NotYet(f"ready on {', '.join(found) or 'no node'}")
        return found

    return wait_for(ready, what="web servers on both nodes", timeout=deadline(kubernetes.dc, 120), interval=1.0)


def until_answered(kubernetes: LiveKubernetes, url: str, source: Pod | str) -> str:
    """What is answered at a URL as soon as something is."""

    def answered() -> str:
        try:
            return kubernetes.fetch(url, source=source).body
        except ClusterError as error:
            raise NotYet(error.message) from error

    return wait_for(answered, what=f"an answer at {url}", timeout=deadline(kubernetes.dc, 60), interval=1.0)


def test_all_servers_are_ready_nodes(kubernetes: LiveKubernetes) -> None:
    nodes = {node.name: node for node in kubernetes.nodes()}
    assert {name: (node.ready, node.zone, node.role) for name, node in nodes.items()} == {
        PLANE: (True, "rack0", "cp"),
        WORKER: (True, "rack1", "cs"),
    }
    assert nodes[PLANE].control_plane
    assert {node.version for node in nodes.values()} == {"v1.20.2"}
    assert kubernetes.dc.servers[WORKER].versions()["kubernetes"] == "1.20.2"


def test_deploying_twice_changes_nothing(kubernetes: LiveKubernetes) -> None:
    ask = ["systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", *map(str, Component)]
    before = {name: machine.run(ask).stdout for name, machine in kubernetes.dc.servers.items()}
    start = time.monotonic()
    KubernetesDeployer().deploy(kubernetes.dc)
    assert time.monotonic() - start < deadline(kubernetes.dc, 30)
    assert {name: machine.run(ask).stdout for name, machine in kubernetes.dc.servers.items()} == before


def test_pods_reach_each_other_over_the_fabric_and_a_service_by_name(
    kubernetes: LiveKubernetes, pods: dict[str, Pod]
) -> None:
    there, here = pods[PLANE], pods[WORKER]
    assert kubernetes.fetch(f"http://{there.address}:8080/", source=here).body == f"{there.name} {PLANE}\n"
    assert until_answered(kubernetes, f"http://web.{NAMESPACE}.svc.cluster.local/", here).split()[1] in {PLANE, WORKER}
    assert f"on {WORKER}" in kubernetes.logs(here)


def test_a_load_balancer_is_reached_from_outside(kubernetes: LiveKubernetes, pods: dict[str, Pod]) -> None:
    del pods
    kubernetes.apply(*service("outside", app="web", kind="LoadBalancer"))

    def assigned() -> str:
        status = kubernetes.get("Service", "outside", namespace=NAMESPACE).get("status", {})
        if not (found := status.get("loadBalancer", {}).get("ingress")):
            raise NotYet("it has no address")
        return str(found[0]["ip"])

    address = wait_for(assigned, what="an address", timeout=deadline(kubernetes.dc, 60), interval=1.0)
    assert kubernetes.dc.topology.kubernetes
    assert any(ip_address(address) in pool for pool in kubernetes.dc.topology.kubernetes.load_balancers)
    assert until_answered(kubernetes, f"http://{address}/", "external").split()[1] in {PLANE, WORKER}


def test_a_volume_outlives_its_pod(kubernetes: LiveKubernetes, pods: dict[str, Pod]) -> None:
    del pods
    kubernetes.apply(*keeper("keeper", node=WORKER))

    def running(unlike: str = "") -> Pod:
        found = [pod for pod in kubernetes.pods(namespace=NAMESPACE, labels={"app": "keeper"}) if pod.ready]
        if not found or found[0].uid == unlike:
            raise NotYet(f"{len(found)} ready")
        return found[0]

    patience = deadline(kubernetes.dc, 120)
    first = wait_for(running, what="the keeper", timeout=patience, interval=1.0)
    kubernetes.run_in(first, ["sh", "-c", f"echo kept > {VOLUME}/file; sync"])
    kubernetes.delete({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": first.name, "namespace": NAMESPACE}})
    second = wait_for(lambda: running(first.uid), what="another keeper", timeout=patience, interval=1.0)
    assert kubernetes.run_in(second, ["cat", f"{VOLUME}/file"]) == "kept\n"


def test_nobody_without_a_certificate_is_answered(kubernetes: LiveKubernetes) -> None:
    assert kubernetes.ask_api("/api/v1/nodes", caller=Caller.NOBODY).status == 401
    assert kubernetes.ask_api("/api/v1/nodes", via=WORKER, proxied=True).status == 200
    assert kubernetes.ask_kubelet(WORKER, "/pods", caller=Caller.NOBODY).status == 401


def test_a_node_gets_new_certificates_while_its_pods_serve_on(
    dc: LiveDataCenter, kubernetes: LiveKubernetes, pods: dict[str, Pod]
) -> None:
    def shown() -> dict[str, float]:
        places = {name: str(dc.topology.server(name).node.ip) for name in (PLANE, WORKER)}
        return {
            name: shown_until(client_of(dc), place, KUBELET_PORT, timeout=deadline(dc, 10))
            for name, place in places.items()
        }

    before = shown()
    rotation.rotate_certificates(dc, [WORKER])
    after = shown()
    assert after[WORKER] > before[WORKER]
    assert after[PLANE] == before[PLANE]
    assert kubernetes.ask_kubelet(WORKER, "/healthz").status == 200
    page = f"http://{pods[WORKER].address}:8080/"
    assert kubernetes.fetch(page, source="external").body == f"{pods[WORKER].name} {WORKER}\n"


def left_on(dc: LiveDataCenter, name: str) -> str:
    """What of a node is left on a server."""
    places = "/data/etcd /etc/kubernetes /var/lib/kubelet /var/lib/containerd /etc/systemd/system/kube*"
    ask = f"ls -d {places} 2>/dev/null; pgrep -l 'kube|etcd|containerd|haproxy'; ip -o link show type veth"
    return dc.servers[name].run(["sh", "-c", ask], check=False).stdout


def test_a_node_that_never_joins_is_named_and_taken_back_and_joins_when_it_can(
    dc: LiveDataCenter, kubernetes: LiveKubernetes, pods: dict[str, Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is removed, and comes again: first without a runtime that could be started."""
    del pods
    kubernetes.delete(*keeper("keeper", node=WORKER)[1:])
    kubernetes.remove(WORKER)
    assert kubernetes.node_names == (PLANE,)
    assert left_on(dc, WORKER) == ""
    replace(Record.load(dc), removed=frozenset()).save(dc)
    worker = dc.servers[WORKER]
    worker.run(["chmod", "-x", "/usr/bin/containerd"])
    with monkeypatch.context() as patch:
        patch.setattr("vdc.cluster.kubernetes.steps._READY_SECONDS", 10.0)
        with pytest.raises(WaitTimeout) as failed:
            KubernetesDeployer().deploy(dc)
    worker.run(["chmod", "+x", "/usr/bin/containerd"])
    said = str(failed.value)
    assert f"last: {WORKER}: " in said
    # the first on a slow host, which starts only as many nodes at a time as it has cores
    assert re.search("in the step “(start the nodes|wait until all nodes are Ready)”", said)
    assert f"the last lines of kubelet on {WORKER}:\n" in said
    assert failed.value.__notes__ == ["what was installed was taken back; --retain keeps it"]
    assert left_on(dc, WORKER) == ""
    assert [node.name for node in kubernetes.nodes()] == [PLANE]
    KubernetesDeployer().deploy(dc)
    assert {node.name for node in kubernetes.nodes() if node.ready} == {PLANE, WORKER}


def test_a_checkpoint_brings_it_back_as_it_was(kubernetes: LiveKubernetes, settings: Settings) -> None:
    kubernetes.write("before", "kept")
    dc = kubernetes.dc
    assert isinstance(dc, LiveDataCenter)
    kept = checkpoint_stores.save(dc, "host-test")
    kubernetes.write("after", "lost")
    back = KubernetesDeployer().attach(fork.restore(kept, settings, Steps()))
    back.wait_serving()
    assert back.read_prefix("").items() >= {"before": "kept"}.items()
    assert back.read("after") is None


def test_what_is_taken_back_leaves_nothing(settings: Settings, kubernetes: LiveKubernetes) -> None:
    dc = lifecycle.attach(kubernetes.dc.name, settings, Steps())
    Installer(dc=dc, cluster=kubernetes.spec, access=kubernetes.access).tear_down(kubernetes.spec.nodes)
    assert {name: left_on(dc, name) for name in dc.servers} == {PLANE: "", WORKER: ""}
