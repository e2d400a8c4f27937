"""What pods say, read: pages, names; and the reasons that waits give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Answer, Pod
from vdc.cluster.kubernetes.workloads import service
from vdc.errors import ClusterError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe import pods
from vdc.observe.ordinary import web_of_every_rack, web_on_every_node
from vdc.observe.pods import Page
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

SERVER = "Server:\t\t10.64.0.1\nAddress:\t10.64.0.1:53\n\n"
KNOWN = f"{SERVER}Name:\tweb.vdc.svc.cluster.local\nAddress: 10.96.0.20\n\n*** Can't find web: No answer\n"
OLD = "Server:    10.64.0.1\nAddress 1: 10.64.0.1\n\nName:      web\nAddress 1: 10.80.0.2 web-0\nAddress 2: 10.80.0.3\n"
UNKNOWN = f"{SERVER}** server can't find nobody.vdc.svc.cluster.local.: NXDOMAIN\n"
MUTE = ";; connection timed out; no servers could be reached\n"


class Said(FakeKubernetes):
    """A cluster whose pods say one thing."""

    text = ""

    def run_in(self, *_: object, **__: object) -> str:
        return self.text


@pytest.fixture
def dc(tmp_path: Path, request: pytest.FixtureRequest) -> FakeDataCenter:
    topology = expand(load(Path(__file__).parents[2] / "topologies" / "k8s.yml"))
    return FakeDataCenter(topology, tmp_path, lies=getattr(request, "param", ()))


@pytest.fixture
def said(dc: FakeDataCenter) -> Said:
    return Said(dc)


POD = Pod(namespace="vdc", name="web-a", uid="1", node="rack0-cs0", address="10.80.0.2", ready=True, restarts=0)


@pytest.mark.parametrize(
    ("text", "addresses"), [(KNOWN, {"10.96.0.20"}), (OLD, {"10.80.0.2", "10.80.0.3"}), (UNKNOWN, set())]
)
def test_addresses_of_names_are_read_and_that_of_the_server_is_none(said: Said, text: str, addresses: set[str]) -> None:
    said.text = f"? web.\n{text}"
    assert pods.look_up(said, POD, ["web."]) == {"web.": addresses}


@pytest.mark.parametrize("text", [MUTE, "", f"{SERVER}** server can't find web.: SERVFAIL\n"])
def test_a_dns_that_does_not_answer_is_no_unknown_name(said: Said, text: str) -> None:
    said.text = f"? web.\n{text}"
    with pytest.raises(ClusterError, match="no answer of the DNS"):
        pods.look_up(said, POD, ["web."])


def test_a_name_of_which_nothing_is_said_is_no_unknown_name(said: Said) -> None:
    said.text = f"? web.\n{KNOWN}"
    with pytest.raises(ClusterError, match=r"nothing was said of other\."):
        pods.look_up(said, POD, ["web.", "other."])


def test_the_answers_of_several_pods_are_read_in_their_order(said: Said) -> None:
    said.text = "web-a rack0-cs0\nweb-b rack1-ss0\n"
    assert pods.pages(said, POD, ["http://a/", "http://b/"]) == (Page("web-a", "rack0-cs0"), Page("web-b", "rack1-ss0"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=404, body="not found"), "answered 404: not found"),
        (Answer(status=200, body="<h1>It works!</h1> Yes."), "not the page of a web pod"),
    ],
)
def test_what_is_no_page_of_ours_is_an_error(answer: Answer, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        pods.page(answer)


def test_waiting_for_pods_tells_those_there_are(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    with pytest.raises(WaitTimeout, match="no pods"):
        pods.wait_pods(cluster, "web", 5)
    web_on_every_node(cluster)
    with pytest.raises(WaitTimeout, match=r"6 pods of web to be ready.*\n?.*web-rack0-cp0 on rack0-cp0 ready"):
        pods.wait_pods(cluster, "web", 6)


def test_a_service_that_somebody_else_answers_is_no_matter_of_time(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    web = web_on_every_node(cluster)
    cluster.apply(*service("web", app="web"))
    with pytest.raises(AssertionError, match=r"answered by .*web-rack2-cp0"):
        pods.wait_all_answer(cluster, pods.service_url(cluster, "web"), web[0], web[:-1])


def test_a_pod_that_does_not_become_unready_is_told(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    web = web_on_every_node(cluster)
    with pytest.raises(WaitTimeout, match="not ready"):
        pods.become(cluster, web[0], ready=False)


def test_a_service_that_still_answers_is_told(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    web = web_on_every_node(cluster)
    cluster.apply(*service("web", app="web"))
    with pytest.raises(WaitTimeout, match="on rack0-cp0: web-"):
        pods.wait_refused(cluster, pods.service_url(cluster, "web"), web)


def test_a_load_balancer_without_an_address_is_told(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    cluster.apply(*service("web", app="web"))
    with pytest.raises(WaitTimeout, match="it has none"):
        pods.wait_balanced(cluster, "web")


@pytest.mark.parametrize("dc", [(Lie.RACKS_APART,)], indirect=True)
def test_a_pod_that_does_not_answer_is_named(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    near, *_, far = web_on_every_node(cluster)
    with pytest.raises(ClusterError, match=far.address):
        pods.pages(cluster, near, [f"http://{far.address}:8080/"])


@pytest.mark.parametrize("dc", [(Lie.BALANCER_LOSES_SOME,)], indirect=True)
def test_a_request_that_is_lost_among_many_is_told(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    web_on_every_node(cluster)
    url = f"http://{pods.wait_balanced(cluster, 'outside')}/"
    assert len(pods.ask_steadily(cluster, url, 5)) == 5
    with pytest.raises(ClusterError, match=r"request \d of 10 was lost: .* does not answer"):
        pods.ask_steadily(cluster, url, 10)


def test_a_pod_that_has_a_node_is_not_waiting_for_one(dc: FakeDataCenter) -> None:
    cluster = FakeKubernetes(dc)
    with web_of_every_rack(cluster) as replicas:
        assert {pod.node for pod in pods.wait_placed(cluster, "spread", replicas)} <= set(cluster.node_names)
        with pytest.raises(WaitTimeout, match=r"spread-0 on rack0-cp0 ready"):
            pods.wait_unplaced(cluster, "spread", placed=2)
    with pytest.raises(WaitTimeout, match="no pods"):
        pods.wait_placed(cluster, "spread", replicas)


@pytest.mark.parametrize(("slowness", "limit"), [(0.1, "5"), (2.0, "10")])
def test_a_pod_waits_longer_for_a_page_on_a_slow_host(
    dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch, slowness: float, limit: str
) -> None:
    asked: list[tuple[str, ...]] = []

    class Noting(FakeKubernetes):
        def run_in(self, pod: Pod, argv: Sequence[str], *, timeout: float = 30.0) -> str:
            asked.append(tuple(argv))
            return "web-a rack0-cs0\n"

    monkeypatch.setattr(FakeDataCenter, "slowness", slowness)
    pods.pages(Noting(dc), POD, ["http://10.80.0.3:8080/"])
    assert asked == [("sh", "-c", pods.EACH_PAGE, "sh", limit, "http://10.80.0.3:8080/")]
