"""A quiet minute of Kubernetes: everything is asked and reached, and nothing changes.

All scenarios here take `quiet`, a time that begins when all pods run. They may ask whatever they like, and write
nothing: the last one finds out what has changed since.
"""

from ipaddress import ip_address

import pytest

from vdc.cluster.kubernetes.api import Caller, KubernetesCluster
from vdc.cluster.kubernetes.workloads import NAMESPACE, PORT, SERVICE_PORT
from vdc.datacenter.api import DataCenter
from vdc.faults.selectors import rack_of
from vdc.observe.idle import Quiet
from vdc.observe.nodes import etcd_answers, node_differences, proxy_modes, wait_kubelets
from vdc.observe.ordinary import HIDDEN, hidden_secret
from vdc.observe.pods import (
    Page,
    ask_steadily,
    page_outside,
    pages,
    service_url,
    wait_all_answer,
    wait_balanced,
    wait_known,
    wait_racks_answer,
)
from vdc.observe.secrecy import ENCRYPTED, SECRETS, WHO, secret_at_rest, wait_written_down

pytestmark = pytest.mark.standard

QUIET = 60.0
"""Seconds. Controllers look at everything again every some ten seconds, kubelets report every ten."""

STEADY = 40
"""Requests. Of a load balancer that loses one in ten, one set of 70 would go unnoticed."""

OK, FORBIDDEN, REFUSED = 200, 403, {401, 403}


def test_every_server_is_a_living_node_as_the_topology_says(kubernetes: KubernetesCluster, quiet: Quiet) -> None:
    """All are Ready, with the name, version, zone and role they should have; there is no other, and kubelets answer."""
    kubernetes.wait_nodes_ready()
    wrong = node_differences(kubernetes)
    assert not wrong, "\n".join(wrong)
    wait_kubelets(kubernetes)


def test_a_pod_on_every_node_answers_by_its_name(dc: DataCenter, kubernetes: KubernetesCluster, quiet: Quiet) -> None:
    """Each node, control planes too, has a pod with an address of its blocks, which answers a client outside."""
    assert {pod.node for pod in quiet.web} == set(kubernetes.node_names)
    for pod in quiet.web:
        assert any(ip_address(pod.address) in block for block in dc.topology.server(pod.node).pods), f"{pod}"
        assert page_outside(kubernetes, f"http://{pod.address}:{PORT}/") == Page(pod.name, pod.node)


def test_logs_are_read_and_commands_run_on_every_node(kubernetes: KubernetesCluster, quiet: Quiet) -> None:
    """Each pod's log tells that pod's name, and a command runs in that pod and in no other."""
    for pod in quiet.web:
        assert pod.name in kubernetes.logs(pod), f"the log of {pod.name} does not tell its name"
        ran_in = kubernetes.run_in(pod, ["hostname"]).strip()
        assert ran_in == pod.name, f"a command for {pod.name} ran in {ran_in}"


@pytest.mark.usefixtures("quiet")
def test_only_those_get_in_who_may(kubernetes: KubernetesCluster) -> None:
    """API servers, kubelets and etcd know their own, and refuse who shows no certificate or one of a foreign
    authority. The account that pods have is known to API servers, and may read no secret.
    """
    for server in kubernetes.members:
        assert kubernetes.ask_api(SECRETS, via=server).status == OK
        known = kubernetes.ask_api("/api", via=server, caller=Caller.POD).status
        assert known == OK, f"API server of {server} does not know pods: {known}"
        assert kubernetes.ask_api(SECRETS, via=server, caller=Caller.POD).status == FORBIDDEN, "pods read secrets"
        assert kubernetes.ask_etcd(server).status == OK
    for name in kubernetes.node_names:
        assert kubernetes.ask_kubelet(name, "/pods").status == OK
    for caller in (Caller.NOBODY, Caller.STRANGER):
        for server in kubernetes.members:
            assert kubernetes.ask_api(SECRETS, via=server, caller=caller).status in REFUSED, f"API server of {server}"
            assert not etcd_answers(kubernetes, server, caller=caller), f"etcd of {server} answers {caller}"
        for name in kubernetes.node_names:
            assert kubernetes.ask_kubelet(name, "/pods", caller=caller).status in REFUSED, f"kubelet of {name}"


@pytest.mark.usefixtures("quiet")
def test_secrets_are_encrypted_at_rest_and_who_asks_for_them_is_written_down(kubernetes: KubernetesCluster) -> None:
    """In no member of etcd a secret's text is to be read. Every API server writes down who asked for secrets, be they
    refused, and nothing of what is in them.
    """
    name = hidden_secret(kubernetes)
    for server in kubernetes.members:
        kept = secret_at_rest(kubernetes, server, name)
        assert kept.startswith(ENCRYPTED), f"etcd of {server} has a secret that begins with {kept[:30]!r}"
        assert HIDDEN.encode() not in kept, f"etcd of {server} has the text of a secret"
        for caller, status in ((Caller.ADMIN, OK), (Caller.POD, FORBIDDEN)):
            said = wait_written_down(kubernetes, server, caller)
            expected = {"answered": status, "who": WHO[caller], "status": status, "contents": []}
            assert said == expected, f"the audit log of {server} says {said} of {caller}"


def test_pods_reach_one_another_within_and_across_racks(
    dc: DataCenter, kubernetes: KubernetesCluster, quiet: Quiet
) -> None:
    """From the pod of each node to all others, of other racks and of the same, be it of the same node; and nobody else
    answers at their addresses.
    """
    pairs = [(source.node, pod.node) for source in quiet.web for pod in quiet.pods if pod != source]
    near = {rack_of(dc, source) == rack_of(dc, target) for source, target in pairs}
    assert near == {True, False}, "the pods are not such that some are in one rack, and some in different ones"
    for source in quiet.web:
        others = [pod for pod in quiet.pods if pod != source]
        answers = pages(kubernetes, source, [f"http://{pod.address}:{PORT}/" for pod in others])
        assert answers == tuple(Page(pod.name, pod.node) for pod in others), f"from {source.node}"


def test_every_node_sends_the_requests_of_a_service_to_all_its_pods(
    dc: DataCenter, kubernetes: KubernetesCluster, quiet: Quiet
) -> None:
    """Asked from a pod of any node, the address of the service is answered by each pod behind it; and kube-proxy does
    it by the means that the topology says.
    """
    assert dc.topology.kubernetes is not None
    modes = proxy_modes(kubernetes)
    assert modes == dict.fromkeys(kubernetes.node_names, dc.topology.kubernetes.proxy), f"kube-proxy works by {modes}"
    for source in quiet.web:
        wait_all_answer(kubernetes, service_url(kubernetes, "web"), source, quiet.web)


def test_names_are_known_on_every_node_and_others_are_not(
    dc: DataCenter, kubernetes: KubernetesCluster, quiet: Quiet
) -> None:
    """A service has its address, a headless one those of its pods, and a name that nobody has is refused."""
    address = kubernetes.get("Service", "web", namespace=NAMESPACE)["spec"]["clusterIP"]
    assert dc.topology.kubernetes is not None
    names = {"web": {address}, "each": {pod.address for pod in quiet.web}, "nobody": set[str]()}
    domain = f"{NAMESPACE}.svc.{dc.topology.kubernetes.domain}."
    for source in quiet.web:
        wait_known(kubernetes, source, {f"{name}.{domain}": frozenset(has) for name, has in names.items()})


def test_a_load_balancer_is_reached_from_outside_in_every_rack(
    dc: DataCenter, kubernetes: KubernetesCluster, quiet: Quiet
) -> None:
    """Its address is of the pool, clients outside come to a pod in each rack, those that are in the same rack, and no
    request is lost.
    """
    address = ip_address(wait_balanced(kubernetes, "outside"))
    assert dc.topology.kubernetes is not None
    assert any(address in pool for pool in dc.topology.kubernetes.load_balancers), f"{address} is not of the pool"
    url = f"http://{address}:{SERVICE_PORT}/"
    wait_racks_answer(kubernetes, url, {rack_of(dc, pod.node) for pod in quiet.web})
    assert set(ask_steadily(kubernetes, url, STEADY)) <= {Page(pod.name, pod.node) for pod in quiet.web}


def test_nothing_has_changed_in_a_quiet_minute(quiet: Quiet) -> None:
    """No object has another version, no event happened, no pod and no unit restarted, for as long as this lasts."""
    changed = quiet.changes(QUIET)
    assert not changed, "\n".join(changed)
