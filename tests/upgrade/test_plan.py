from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.errors import InputError
from vdc.model.load import read_topology
from vdc.model.releases import catalogue
from vdc.model.topology import Topology
from vdc.rolling.queue import Node
from vdc.upgrade.path import Method, UpgradePath
from vdc.upgrade.paths import path, paths
from vdc.upgrade.plan import planned
from vdc.upgrade.rules import Part, Versions, changed, skewed, versions_of
from vdc.upgrade.stages import CONTROL_PLANE, ON_NODES, Fleet

ROOT = Path(__file__).parents[2]
RELEASES = {name: versions_of(each) for name, each in catalogue().items()}
K8S = read_topology(ROOT / "topologies" / "k8s.yml")


def row(method: Method, old: Versions, new: Versions, **more: object) -> UpgradePath:
    fields: dict[str, object] = {"cluster": "kubernetes", "topology": "topologies/k8s.yml", "at_once": 2, **more}
    return UpgradePath(
        name="mine",
        about="mine",
        origin="old",
        target="new",
        method=method,
        changes=changed(old, new),
        **fields,  # type: ignore[arg-type]
    )


def kubernetes(minor: int, containerd: str = "1.7") -> Versions:
    return MappingProxyType({"etcd": "3.5", "containerd": containerd, "kubernetes": f"1.{minor}.0"})


@pytest.mark.parametrize("name", list(paths()))
def test_every_path_can_be_planned_on_its_topology(name: str) -> None:
    way = path(name)
    topology = read_topology(ROOT / way.topology)
    plan = planned(way.origin, way.target, RELEASES, way, topology)
    assert plan.stages
    assert plan.path is way
    nodes = {node for stage in plan.stages for batch in stage.nodes for node in batch}
    everybody = {router.name for router in topology.routers} | {server.name for server in topology.members}
    assert nodes <= everybody
    if way.method is not Method.WORKLOAD:
        assert nodes


@settings(deadline=None)
@given(
    nodes=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=14),
    at_once=st.integers(1, 5),
    voters=st.booleans(),
)
def test_no_two_voters_no_two_racks_and_no_more_than_allowed_go_together(
    nodes: list[tuple[int, bool]], at_once: int, voters: bool
) -> None:
    made = [Node(name=f"n{number}", rack=rack, votes=votes) for number, (rack, votes) in enumerate(nodes)]
    batches = Fleet(tuple(made)).batches(at_once, voters=voters)
    by_name = {node.name: node for node in made}
    for batch in batches:
        assert 0 < len(batch) <= at_once
        assert len({by_name[name].rack for name in batch}) == 1
        assert sum(by_name[name].votes for name in batch) <= 1
    went = [name for batch in batches for name in batch]
    assert sorted(went) == sorted(node.name for node in made if node.votes or not voters)
    votes = [by_name[name].votes for name in went]
    assert votes == sorted(votes, reverse=True)


@settings(deadline=None)
@given(minor=st.integers(20, 34), method=st.sampled_from([Method.IN_PLACE, Method.DRAIN]), at_once=st.integers(1, 3))
def test_at_no_moment_of_a_kubernetes_upgrade_do_versions_differ_too_much(
    minor: int, method: Method, at_once: int
) -> None:
    old, new = kubernetes(minor), kubernetes(minor + 1)
    plan = planned("old", "new", {"old": old, "new": new}, row(method, old, new, at_once=at_once), K8S)
    assert K8S.kubernetes is not None
    runs = {(server.name, part): old["kubernetes"] for server in K8S.members for part in ON_NODES}
    runs |= {(name, part): old["kubernetes"] for name in K8S.kubernetes.control_planes for part in CONTROL_PLANE}
    for stage in plan.stages:
        for batch in stage.nodes:
            for node, part in runs:
                if node in batch and part in stage.parts:
                    runs[node, part] = new["kubernetes"]
            assert skewed(Part(*key, version) for key, version in runs.items()) == ()
    assert set(runs.values()) == {new["kubernetes"]}


def test_a_new_root_disk_cannot_bring_another_kubernetes_to_one_of_several_control_planes() -> None:
    old, new = kubernetes(33), kubernetes(34)
    with pytest.raises(InputError, match="kubelet-skew") as caught:
        planned("old", "new", {"old": old, "new": new}, row(Method.REIMAGE, old, new), K8S)
    assert caught.value.hint == "so it is while `reimage` is under way"


def test_a_lone_control_plane_can_have_it() -> None:
    small = read_topology(ROOT / "topologies" / "k8s-small.yml")
    old, new = kubernetes(33), kubernetes(34)
    plan = planned("old", "new", {"old": old, "new": new}, row(Method.REIMAGE, old, new, at_once=1), small)
    assert len(plan.stages) == 1


def test_the_container_runtime_must_fit_the_kubelets_at_every_moment() -> None:
    old, new = kubernetes(22, "1.7"), kubernetes(23, "2.0")
    with pytest.raises(InputError, match="container-runtime-interface"):
        planned("old", "new", {"old": old, "new": new}, row(Method.IN_PLACE, old, new), K8S)


def test_api_servers_come_before_what_talks_to_them() -> None:
    old, new = kubernetes(33, "1.6"), kubernetes(34, "1.7")
    plan = planned("old", "new", {"old": old, "new": new}, row(Method.IN_PLACE, old, new), K8S)
    parts = [part for stage in plan.stages for part in stage.parts]
    assert parts == ["containerd", *CONTROL_PLANE, *ON_NODES]


def test_a_kernel_is_not_replaced_in_place() -> None:
    way = row(Method.IN_PLACE, RELEASES["debian-12"], RELEASES["debian-13"])
    with pytest.raises(InputError, match="debian and kernel cannot be replaced in place"):
        planned("debian-12", "debian-13", RELEASES, way)


def test_without_a_row_the_method_follows_from_what_changes() -> None:
    assert planned("debian-12", "debian-13", RELEASES, None).method is Method.REIMAGE
    assert planned("debian-12", "debian-12-etcd-3.5", RELEASES, None).method is Method.IN_PLACE


def test_a_topology_without_servers_has_nothing_to_upgrade() -> None:
    fabric: Topology = read_topology(ROOT / "topologies" / "fabric.yml")
    with pytest.raises(InputError, match="fabric has nothing that reimage could be done to"):
        planned("debian-12", "debian-13", RELEASES, None, fabric)


@pytest.mark.parametrize(
    ("origin", "target", "said"),
    [
        ("debian-12", "debian-12-etcd-3.5", "when the last member runs etcd 3.5"),
        ("kubernetes-1.34", "kubernetes-1.35", "when the last API server runs 1.35.0"),
        ("kubernetes-1.20", "kubernetes-1.20-containerd-1.7", None),
    ],
)
def test_the_point_of_no_return_is_told_where_there_is_one(origin: str, target: str, said: str | None) -> None:
    told = planned(origin, target, RELEASES, None).no_return
    assert [each.partition(":")[0] for each in told] == ([said] if said else [])


def test_a_new_root_disk_brings_kubernetes_and_its_runtime_together() -> None:
    old = MappingProxyType({"kernel": "6.1", **kubernetes(25, containerd="1.5")})
    new = MappingProxyType({"kernel": "6.12", **kubernetes(26, containerd="1.6")})
    single = read_topology(ROOT / "topologies" / "k8s-small.yml")
    assert planned("old", "new", {"old": old, "new": new}, row(Method.REIMAGE, old, new, at_once=1), single).stages
