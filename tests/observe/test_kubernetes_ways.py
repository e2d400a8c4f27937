"""The ways to a Kubernetes: each of them is asked, as somebody who may, and as often as its servers bear."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from vdc.errors import ClusterError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.kubernetes_ways import targets, ways_to
from vdc.observe.ordinary import web_on_every_node
from vdc.testing import FakeDataCenter, FakeKubernetes

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


@pytest.fixture
def kubernetes(tmp_path: Path) -> FakeKubernetes:
    return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), tmp_path))


def test_every_way_to_the_cluster_is_there_over_new_and_over_reused_connections(kubernetes: FakeKubernetes) -> None:
    ways = ways_to(kubernetes, web_on_every_node(kubernetes))
    planes, nodes = len(kubernetes.members), len(kubernetes.node_names)
    assert Counter((way.kind, way.reuse) for way in ways) == {
        ("api", False): planes,
        ("api", True): planes,
        ("proxy", False): nodes,
        ("proxy", True): nodes,
        ("url", False): 2 * nodes + 1,  # pods, ports of a service on nodes, and the load balancer
        ("dns", False): nodes,
    }
    assert len({way.name for way in ways}) == len(ways)
    assert {way.device for way in ways} == {*kubernetes.node_names, "load balancer"}
    assert next(way.url for way in ways if way.kind == "dns") == "dns://10.64.0.1:53/web.vdc.svc.cluster.local"


def test_who_is_asked_over_tls_is_shown_a_certificate_and_must_show_the_right_one(kubernetes: FakeKubernetes) -> None:
    ways = ways_to(kubernetes, web_on_every_node(kubernetes))
    asked = dict(zip(ways, targets(kubernetes, ways), strict=True))
    for way, target in asked.items():
        assert (target.ca is not None) == target.url.startswith("https://") == (way.kind in {"api", "proxy"})
        assert target.server_name == ("kubernetes" if way.kind == "proxy" else None)
        assert target.client == "external"
    fast = {target.period for way, target in asked.items() if way.reuse or way.kind == "dns"}
    assert fast == {0.01}, "in simulated time, as on a fast host, each way is asked every 10 ms"


def test_under_emulation_an_api_server_is_asked_seldom_and_has_time(
    kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDataCenter, "slowness", 1.0)
    ways = ways_to(kubernetes, web_on_every_node(kubernetes))
    asked = {(way.kind, way.reuse): each for way, each in zip(ways, targets(kubernetes, ways), strict=True)}
    assert {way: (each.period, each.patience) for way, each in asked.items()} == {
        ("api", False): (4.0, 10.0),
        ("api", True): (1.0, 10.0),
        ("proxy", False): (4.0, 10.0),
        ("proxy", True): (1.0, 10.0),
        ("url", False): (0.5, 2.0),
        ("dns", False): (0.5, 2.0),
    }


def test_a_load_balancer_without_an_address_is_an_error(kubernetes: FakeKubernetes) -> None:
    pods = web_on_every_node(kubernetes)
    del kubernetes.get("Service", "outside", namespace="vdc")["status"]  # type: ignore[attr-defined]
    with pytest.raises(ClusterError, match="has no address"):
        ways_to(kubernetes, pods)
