"""What `vdc upgrade run` refuses before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.cli.upgrade_run import cluster_of, expect_allowed
from vdc.cluster.etcd import EtcdDeployer
from vdc.errors import ClusterError, InputError
from vdc.model.load import read_topology
from vdc.testing import FakeCluster, FakeDataCenter
from vdc.upgrade.path import Hook, Method
from vdc.upgrade.paths import path

from .conftest import TOPOLOGIES


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(read_topology(TOPOLOGIES / "small.yml"), tmp_path)


@pytest.mark.parametrize("name", ["os-debian-13", "containerd-1.7"])
def test_a_path_for_a_cluster_that_is_not_there_is_refused(dc: FakeDataCenter, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is for a cluster deployed.*, and {dc.name} has none"):
        cluster_of(dc, path(name))


def test_only_the_cluster_that_a_path_is_for_is_taken(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    etcd = FakeCluster(dc)
    monkeypatch.setattr(EtcdDeployer, "attach", lambda _deployer, _dc: etcd)
    assert cluster_of(dc, path("os-debian-13")) is etcd
    assert cluster_of(dc, path("routers-bird-2.17")) is etcd
    with pytest.raises(InputError, match="kubernetes-os-debian-13 is for a cluster deployed by kubernetes"):
        cluster_of(dc, path("kubernetes-os-debian-13"))


def test_routers_are_upgraded_where_no_cluster_is(dc: FakeDataCenter) -> None:
    assert cluster_of(dc, path("routers-bird-2.17")) is None


def test_a_path_that_breaks_a_rule_on_its_way_is_refused(dc: FakeDataCenter) -> None:
    k8s = read_topology(TOPOLOGIES / "k8s.yml")
    row = path("kubernetes-in-place")
    expect_allowed(row, k8s)
    with pytest.raises(InputError, match="kubelet-skew"):
        expect_allowed(replace(row, method=Method.REIMAGE), k8s)
    own = Hook(component="kubernetes", run=("true",), check=("true",))
    expect_allowed(replace(row, method=Method.REIMAGE, hooks=(own,)), k8s)
    expect_allowed(path("os-debian-13"), dc.topology)


def test_no_cluster_error_of_a_deployer_gets_through(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_deployer: EtcdDeployer, _dc: FakeDataCenter) -> FakeCluster:
        raise ClusterError("half deployed")

    monkeypatch.setattr(EtcdDeployer, "attach", broken)
    with pytest.raises(InputError, match="has none"):
        cluster_of(dc, path("os-debian-13"))
