"""Upgrades of drained nodes: who leaves and comes back, what a disruption budget holds up, and what is not drained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.workloads import web
from vdc.errors import ClusterError, InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.holding import held_by_budget
from vdc.rolling.reboots import HeldUpError
from vdc.testing import FakeCluster, FakeDataCenter, FakeKubernetes, Lie
from vdc.upgrade.drained import Drained
from vdc.upgrade.path import Method, UpgradePath
from vdc.upgrade.paths import path
from vdc.upgrade.ways import way_of

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
NODE = "rack1-cs0"


def kubernetes(folder: Path, *lies: Lie) -> FakeKubernetes:
    return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "k8s-small.yml")), folder, lies=lies))


def row() -> UpgradePath:
    return replace(path("containerd-1.7"), method=Method.DRAIN, evicts=True)


def cordoned(cluster: FakeKubernetes) -> bool:
    return bool(cluster.get("Node", NODE).get("spec", {}).get("unschedulable"))


def movers(cluster: FakeKubernetes) -> list[str]:
    return [pod.name for pod in cluster.pods() if pod.node == NODE and pod.owner == "Deployment"]


def test_a_node_is_empty_while_it_is_upgraded_and_in_use_afterwards(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    cluster.apply(*web("mover", replicas=4, slowness=1.0))
    assert movers(cluster)
    way = way_of(cluster.dc, cluster, row())
    assert isinstance(way, Drained)
    steps = way.forward(NODE)
    assert [step.name for step in steps] == ["drain", "put files in place", "restart containerd", "let pods return"]
    for step in steps[:-1]:
        step.do()
        step.done()
        assert cordoned(cluster)
        assert not movers(cluster)
    steps[-1].do()
    steps[-1].done()
    assert not cordoned(cluster)
    assert way.at(NODE) == "kubernetes-1.20-containerd-1.7"
    for step in way.back(NODE):
        step.do()
        step.do()
        step.done()
    assert way.at(NODE) == "kubernetes-1.20"
    assert not cordoned(cluster)


def test_a_budget_holds_a_node_up_before_anything_is_done_to_it(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    way = way_of(cluster.dc, cluster, row())
    with held_by_budget(cluster, NODE), pytest.raises(HeldUpError, match="may not be evicted"):
        way.forward(NODE)[0].do()
    assert not cordoned(cluster)
    assert way.at(NODE) == "kubernetes-1.20"


def test_a_node_that_takes_pods_or_has_some_is_not_drained(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    way = way_of(cluster.dc, cluster, row())
    drain, *_, use = way.forward(NODE)
    with pytest.raises(ClusterError, match="was cordoned, and takes pods"):
        drain.done()
    drain.do()
    with pytest.raises(ClusterError, match="is to be in use again, and takes no pods"):
        use.done()
    use.do()
    with held_by_budget(cluster, NODE):
        cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"unschedulable": True}})
        with pytest.raises(ClusterError, match="was drained, and has vdc/guarded-0"):
            drain.done()


def test_only_a_kubernetes_is_drained(tmp_path: Path) -> None:
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path)
    with pytest.raises(InputError, match="only nodes of a Kubernetes are drained"):
        way_of(dc, FakeCluster(dc), replace(path("etcd-3.5"), method=Method.DRAIN))
