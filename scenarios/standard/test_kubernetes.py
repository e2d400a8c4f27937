"""An ordinary day of Kubernetes: its nodes, its API, its volumes, and a minute in which nothing happens."""

import uuid
from ipaddress import ip_address

import pytest

from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.cluster.kubernetes.workloads import NAMESPACE, PORT, VOLUME, keeper, secret, web
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline, lasting
from vdc.faults import ComponentStopped, Inject
from vdc.faults.selectors import rack_of
from vdc.observe.idle import changes, states
from vdc.observe.nodes import as_node, is_forbidden, node_differences, wait_kubelets, wait_proxies
from vdc.observe.pods import Page, kill, page_outside, read, running, wait_pods, web_on_every_node, write
from vdc.wait import ticks

pytestmark = pytest.mark.standard

IDLE = 60.0
"""Seconds. Controllers look at everything again every some ten seconds, kubelets report every ten."""

FAILOVER = 30.0
"""Seconds. A proxy asks every API server every few seconds, and gives one up that has failed some times in a row."""

BACK = 60.0
"""Seconds. An API server that answers is taken again by every proxy once it has passed some of its questions."""

OK, REFUSED = 200, {401, 403}

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"

MARK = "vdc.local/marked=yes"
"""An annotation that means nothing."""


def test_every_server_is_a_living_node_as_the_topology_says(kubernetes: KubernetesCluster) -> None:
    """All are Ready, with the name, version, zone and role they should have; there is no other, and kubelets answer."""
    kubernetes.wait_nodes_ready()
    wrong = node_differences(kubernetes)
    assert not wrong, "\n".join(wrong)
    wait_kubelets(kubernetes)


def test_a_pod_runs_on_every_node_and_answers(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """Each node has a pod, whose address is of the node's blocks, and which answers a client outside by its name."""
    pods = web_on_every_node(kubernetes)
    assert {pod.node for pod in pods} == set(kubernetes.node_names)
    for pod in pods:
        assert any(ip_address(pod.address) in block for block in dc.topology.server(pod.node).pods), f"{pod}"
        assert page_outside(kubernetes, f"http://{pod.address}:{PORT}/") == Page(pod.name, pod.node)


def test_logs_are_read_and_commands_run_on_every_node(kubernetes: KubernetesCluster) -> None:
    """Each pod's log tells that pod's name, and a command runs in that pod and in no other."""
    for pod in web_on_every_node(kubernetes):
        assert pod.name in kubernetes.logs(pod), f"the log of {pod.name} does not tell its name"
        ran_in = kubernetes.run_in(pod, ["hostname"]).strip()
        assert ran_in == pod.name, f"a command for {pod.name} ran in {ran_in}"


def test_replicas_are_spread_over_the_racks(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """Of as many replicas as there are racks with nodes, each has a rack of its own."""
    racks = {rack_of(dc, name) for name in kubernetes.node_names}
    pods = running(kubernetes, *web("spread", replicas=len(racks)), app="spread", pods=len(racks))
    assert {rack_of(dc, pod.node) for pod in pods} == racks, f"replicas are on {[pod.node for pod in pods]}"


def test_nothing_changes_in_an_idle_minute(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """No object gets another version, no event happens, no pod and no unit restarts."""
    web_on_every_node(kubernetes)
    before = states(kubernetes)
    for _ in ticks(1.0, duration=lasting(dc, IDLE)):
        pass  # nothing is to happen
    changed = changes(before, states(kubernetes))
    assert not changed, "\n".join(changed)


def test_the_anonymous_are_refused(kubernetes: KubernetesCluster) -> None:
    """Every API server and every kubelet answers those it knows, and refuses those that show no certificate."""
    for server in kubernetes.members:
        assert kubernetes.ask_api(SECRETS, via=server).status == OK
        assert kubernetes.ask_api(SECRETS, via=server, anonymous=True).status in REFUSED, f"API server of {server}"
    for name in kubernetes.node_names:
        assert kubernetes.ask_kubelet(name, "/pods").status == OK
        assert kubernetes.ask_kubelet(name, "/pods", anonymous=True).status in REFUSED, f"kubelet of {name}"


def test_a_node_may_change_itself_and_nothing_of_others(dc: DataCenter, kubernetes: KubernetesCluster) -> None:
    """With the credential of its kubelet, a node changes itself, but no other, and reads no secret of other's pods."""
    first, last = kubernetes.node_names[0], kubernetes.node_names[-1]
    kubernetes.apply(*secret("hidden", text="a pod on another node may have it"))
    for node, other in ((first, last), (last, first)):
        done = as_node(dc, node, "annotate", "node", node, MARK, "--overwrite")
        assert done.status == 0, f"{node} may not change itself: {done.stderr}"
        for what in (("annotate", "node", other, MARK, "--overwrite"), ("get", "--raw", f"{SECRETS}/hidden")):
            done = as_node(dc, node, *what)
            assert is_forbidden(done), f"{node} may {' '.join(what)}: {done.stdout}{done.stderr}"


def test_what_a_pod_wrote_to_its_volume_is_read_by_the_next(kubernetes: KubernetesCluster) -> None:
    """The pod is killed, and another one, with another uid, finds on its volume what that one wrote."""
    manifests, written = keeper("keeper", node=kubernetes.node_names[-1]), uuid.uuid4().hex
    (before,) = running(kubernetes, *manifests, app="keeper", pods=1)
    write(kubernetes, before, f"{VOLUME}/kept", written)
    kill(kubernetes, before)
    (after,) = wait_pods(kubernetes, "keeper", 1, unlike=before.uid)
    assert read(kubernetes, after, f"{VOLUME}/kept") == written


def test_the_api_answers_through_every_proxy_with_each_api_server_down_in_turn(
    dc: DataCenter, kubernetes: KubernetesCluster, inject: Inject
) -> None:
    """While one of several is down no request fails; the loss of the only one is told, and all is well again after."""
    assert kubernetes.members
    wait_proxies(kubernetes, serving=True, timeout=deadline(dc, BACK))
    for server in kubernetes.members:
        with inject(ComponentStopped(kubernetes, Component.API_SERVER, (server,))):
            wait_proxies(kubernetes, serving=len(kubernetes.members) > 1, timeout=deadline(dc, FAILOVER))
        wait_proxies(kubernetes, serving=True, timeout=deadline(dc, BACK))
