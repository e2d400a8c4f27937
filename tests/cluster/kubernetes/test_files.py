from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.cluster.kubernetes.examples import NEW, OLD, ROOT, cluster, credentials
from tests.conftest import Golden
from vdc.cluster.kubernetes.agent_files import agent_files
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.files import affected, is_private, node_files
from vdc.cluster.kubernetes.manifests import cluster_manifests
from vdc.cluster.kubernetes.spec import ClusterSpec
from vdc.cluster.kubernetes.units import units

GOLDEN = ROOT / "tests/golden/kubernetes"

ROOMY = {name: {"memory": "1GiB", "data": "1GiB", "pod_blocks": 2} for name in ("cp", "cs", "ss")}

CASES = {
    "small": cluster(),
    "highly-available": cluster("k8s.yml"),
    "modern": cluster(
        "k8s.yml",
        kubernetes={
            "proxy": "ipvs",
            "registry_mirrors": {"docker.io": "http://10.0.0.9:5000"},
            "domain": "example.org",
        },
        versions=NEW,
        slowness=0.1,
    ),
    "dual": cluster(family="dual", roles=ROOMY, versions=NEW),
}

NODES = [(name, node.name) for name, each in CASES.items() for node in each.nodes]


def files(spec: ClusterSpec, name: str, *, joining: bool = False) -> dict[str, str]:
    node = spec.node(name)
    return dict(node_files(spec, node, credentials(spec, node), joining=joining))


@pytest.mark.parametrize(("case", "name"), NODES, ids="/".join)
def test_a_node_has_these_files(case: str, name: str, golden: Golden) -> None:
    texts = files(CASES[case], name)
    shown = [f"==== {path}{' (0600)' if is_private(path) else ''}\n{text}" for path, text in sorted(texts.items())]
    golden(GOLDEN / case / f"{name}.txt", "\n".join(shown))


@pytest.mark.parametrize(("case", "name"), NODES, ids="/".join)
def test_whatever_is_meant_for_a_program_is_what_it_reads(case: str, name: str) -> None:
    texts = files(CASES[case], name)
    read = {
        path: json.loads(text) for path, text in texts.items() if path.endswith((".json", ".kubeconfig", ".conflist"))
    }
    assert len(read) > 5
    assert tomllib.loads(texts["/etc/containerd/config.toml"])["version"] in {2, 3}


@pytest.mark.parametrize(("case", "name"), NODES, ids="/".join)
def test_every_path_that_is_named_is_a_file_of_the_node_or_its_release(case: str, name: str) -> None:
    spec = CASES[case]
    texts = files(spec, name) | dict(agent_files(spec, spec.node(name)))
    words = {
        word.strip("'\",;:=\\")
        for text in texts.values()
        for word in text.replace("=", " ").replace('"', " ").replace(",", " ").split()
    }
    named = {word for word in words if word.startswith(("/etc/kubernetes/", "/etc/vdc-agent/"))}
    assert len(named) > 8
    assert named <= set(texts)


@pytest.mark.parametrize(("case", "name"), NODES, ids="/".join)
def test_every_component_has_its_unit_and_no_other_has(case: str, name: str) -> None:
    spec = CASES[case]
    node = spec.node(name)
    texts = files(spec, name) | dict(agent_files(spec, node))
    there = {Path(path).stem for path in texts if path.startswith("/etc/systemd/system/")}
    assert there == set(units(node))


def test_keys_are_for_root_alone() -> None:
    private = {path for path, text in files(CASES["small"], "rack0-cp0").items() if "key of" in text}
    private.discard("/etc/kubernetes/pki/sa.pub")
    assert len(private) > 8
    assert all(is_private(path) for path in private)
    assert not is_private("/etc/kubernetes/pki/sa.pub")


def test_a_worker_has_no_key_of_the_cluster() -> None:
    texts = files(CASES["small"], "rack1-cs0")
    assert not any("service accounts" in text for text in texts.values())
    assert not [path for path in texts if "etcd" in path or "front-proxy" in path or "encryption" in path]


@pytest.mark.parametrize("joining", [False, True])
def test_a_member_that_joins_says_so(joining: bool) -> None:
    text = files(CASES["small"], "rack0-cp0", joining=joining)["/etc/kubernetes/etcd/initial.env"]
    assert f"ETCD_INITIAL_CLUSTER_STATE={'existing' if joining else 'new'}\n" in text


def test_who_the_first_members_were_restarts_nothing() -> None:
    assert affected(CASES["small"].node("rack0-cp0"), ["/etc/kubernetes/etcd/initial.env"]) == ()


def test_a_changed_unit_restarts_what_it_starts() -> None:
    node = CASES["small"].node("rack1-cs0")
    assert affected(node, ["/etc/systemd/system/kubelet.service"]) == (Component.KUBELET,)


def test_what_a_node_does_not_run_is_not_restarted() -> None:
    node = CASES["small"].node("rack1-cs0")
    everybody = affected(node, ["/etc/kubernetes/pki/ca.crt"])
    assert everybody == (Component.API_PROXY, Component.KUBELET, Component.KUBE_PROXY, Component.AGENT)


def test_a_further_control_plane_node_restarts_no_etcd_and_no_api_server() -> None:
    small, more = cluster(), cluster(racks=[{"servers": {"cp": 1, "cs": 1}}, {"count": 2, "servers": {"cp": 1}}])
    assert len(more.control_planes) == 3
    before, after = files(small, "rack0-cp0"), files(more, "rack0-cp0")
    changed = [path for path, text in after.items() if before.get(path) != text]
    restarted = affected(more.node("rack0-cp0"), changed)
    assert restarted == (Component.CONTROLLER_MANAGER, Component.SCHEDULER, Component.API_PROXY)


def test_pods_and_services_have_both_families_where_kubernetes_can() -> None:
    old, new = (cluster(family="dual", roles=ROOMY, versions=each) for each in (OLD, NEW))
    for path in ("/etc/cni/net.d/10-pods.conflist", "/etc/kubernetes/kube-proxy.json"):
        assert "fd00:80:" not in files(old, "rack0-cp0")[path]
        assert "fd00:80:" in files(new, "rack0-cp0")[path]


def test_the_objects_of_a_cluster(golden: Golden) -> None:
    golden(GOLDEN / "manifests.json", json.dumps(cluster_manifests(CASES["small"]), indent=1) + "\n")


def test_a_user_of_a_file_is_a_file() -> None:
    spec = CASES["modern"]
    node = spec.control_planes[0]
    texts = files(spec, node.name)
    quiet = {path for path in texts if not affected(node, [path])}
    assert quiet == {
        "/etc/cni/net.d/10-pods.conflist",
        "/etc/containerd/certs.d/docker.io/hosts.toml",
        "/etc/kubernetes/etcd/initial.env",
        "/etc/kubernetes/resolv.conf",
        "/etc/vdc/woken.d/kube-controller-manager",
        "/etc/sysctl.d/95-kubernetes.conf",
    }
