"""The deployer, on servers that only note what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.cluster.kubernetes.live import Bench, Kept, Reached
from vdc.cluster.deployers import DEPLOYERS, deployed
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.cluster.kubernetes.client import Api
from vdc.cluster.kubernetes.deployer import KubernetesDeployer, admin_kubeconfig, api_targets
from vdc.cluster.kubernetes.record import directory
from vdc.cluster.kubernetes.spec import Node
from vdc.cluster.kubernetes.steps import STEPS
from vdc.errors import ClusterError, HostError, InputError, WaitTimeout
from vdc.model.topology import Routing


def test_it_is_one_of_the_deployers_and_makes_a_cluster_of_kubernetes(small: Bench) -> None:
    assert isinstance(DEPLOYERS["kubernetes"](), KubernetesDeployer)
    assert isinstance(small.deploy(), KubernetesCluster)


def test_deploying_takes_every_step_in_order_and_starts_what_each_node_has(small: Bench) -> None:
    small.deploy()
    assert [name for name in small.lab.listening.names if name in dict(STEPS)] == [name for name, _ in STEPS]
    started = {name: list(machine.marks) for name, machine in small.lab.servers.items()}
    node = ["haproxy", "containerd", "dnsmasq", "kubelet", "kube-proxy", "vdc-agent"]
    control = ["haproxy", "containerd", "dnsmasq", "etcd", "kube-apiserver"]
    assert started == {
        "rack0-cp0": [*control, "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "vdc-agent"],
        "rack1-cs0": node,
        "rack2-ss0": node,
    }


def test_nodes_are_registered_with_what_only_an_administrator_may_give_them(small: Bench) -> None:
    small.deploy()
    plane, worker = (small.kept.nodes[name] for name in ("rack0-cp0", "rack1-cs0"))
    assert plane["metadata"]["labels"] == {
        "node-role.kubernetes.io/control-plane": "",
        "node-role.kubernetes.io/master": "",
        "topology.kubernetes.io/zone": "rack0",
        "vdc.role": "cp",
    }
    assert [taint["effect"] for taint in plane["spec"]["taints"]] == ["NoSchedule", "NoSchedule"]
    assert worker["spec"]["taints"] == []
    assert worker["metadata"]["annotations"] == {"vdc.local/pod-blocks": "10.80.4.0/26"}


def test_deploying_twice_only_looks(small: Bench) -> None:
    small.deploy()
    small.forget()
    small.deploy()
    assert [len(machine.scripts) for machine in small.lab.servers.values()] == [1, 1, 1]
    assert small.told("states=") == list(small.lab.servers)


def starts_of_api_servers(bench: Bench) -> list[str]:
    """Deploy, and tell in which order API servers were started and asked whether they are ready."""
    asked = bench.kept.asked
    asked.clear()

    def noting(name: str) -> Callable[[str], None]:
        return lambda component: asked.extend([name] if component == "kube-apiserver" else [])

    for name, machine in bench.lab.servers.items():
        machine.marks["kube-apiserver"] = "of other files"
        machine.starting = noting(name)
    bench.deploy()
    return [each for each in asked if each == "/readyz" or each.startswith("rack")]


def test_api_servers_start_together_after_the_first_and_later_one_after_the_other(large: Bench) -> None:
    first = starts_of_api_servers(large)
    assert first == ["rack0-cp0", "/readyz", "rack1-cp0", "rack2-cp0", "/readyz", "/readyz"]
    assert starts_of_api_servers(large) == ["rack0-cp0", "/readyz", "rack1-cp0", "/readyz", "rack2-cp0", "/readyz"]


def test_what_does_not_run_as_it_should_is_started_by_the_next_deployment(small: Bench) -> None:
    small.deploy()
    del small.machine("rack1-cs0").marks["kube-proxy"]
    small.deploy()
    assert "kube-proxy" in small.machine("rack1-cs0").marks


def test_a_deployment_that_was_killed_is_finished_by_the_next(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vdc.cluster.kubernetes.serving.wait_nodes_ready", killed)
        with pytest.raises(KeyboardInterrupt):
            small.deploy()
    with pytest.raises(ClusterError, match="no Kubernetes is deployed on lab"):
        KubernetesDeployer().attach(small.dc)
    authority = (directory(small.dc) / "kubernetes" / "ca.crt").read_text()
    small.deploy()
    assert small.record.joined == {"rack0-cp0", "rack1-cs0", "rack2-ss0"}
    assert (directory(small.dc) / "kubernetes" / "ca.crt").read_text() == authority


def test_a_node_that_never_joins_is_named_with_the_step_and_its_journal_and_all_is_taken_back(small: Bench) -> None:
    small.kept.dead.add("rack2-ss0")
    with pytest.raises(WaitTimeout) as failed:
        small.deploy()
    assert str(failed.value) == (
        "waited 0.0 s for rack0-cp0, rack1-cs0, rack2-ss0 to be Ready, in the step “wait until all nodes are Ready”; "
        "last: rack2-ss0: it has no network\n"
        "the last lines of kubelet on rack2-ss0:\nkubelet of rack2-ss0 said this last"
    )
    assert failed.value.exit_code == 1
    assert failed.value.__notes__ == ["what was installed was taken back; --retain keeps it"]
    assert small.told("kubepods.slice") == list(small.lab.servers)
    assert not directory(small.dc).exists()


def test_a_control_plane_that_never_joins_is_named_with_its_journal_and_all_is_taken_back(
    large: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mute(Kept):
        def request(self, method: str, path: str, **_: object) -> str:
            raise ClusterError(f"{method} {path}: connection refused")

    def api(reached: Reached, nodes: Sequence[Node]) -> Api:
        return Mute() if [node.name for node in nodes] == ["rack2-cp0"] else reached.kept

    monkeypatch.setattr(Reached, "api", api)
    with pytest.raises(WaitTimeout) as failed:
        large.deploy()
    assert str(failed.value) == (
        "waited 0.0 s for kube-apiserver on rack2-cp0 to be ready, in the step "
        "“start the API servers, and wait until they are ready”; last: GET /readyz: connection refused\n"
        "the last lines of kube-apiserver on rack2-cp0:\nkube-apiserver of rack2-cp0 said this last"
    )
    assert failed.value.exit_code == 1
    assert failed.value.__notes__ == ["what was installed was taken back; --retain keeps it"]
    assert large.told("kubepods.slice") == list(large.lab.servers)


def test_what_failed_can_be_kept_to_look_at(small: Bench) -> None:
    small.kept.dead.add("rack2-ss0")
    with pytest.raises(WaitTimeout):
        small.deploy(retain=True)
    assert small.told("kubepods.slice") == []
    assert directory(small.dc).exists()


def test_nodes_of_an_earlier_deployment_are_never_taken_back(small: Bench) -> None:
    small.deploy()
    small.kept.dead.add("rack2-ss0")
    small.machine("rack2-ss0").marks.clear()
    with pytest.raises(WaitTimeout):
        small.deploy()
    assert small.told("kubepods.slice") == []


def test_a_server_that_was_to_join_is_taken_back_alone_and_forgotten(large: Bench) -> None:
    large.deploy()
    large.forget()
    replace(large.record, joined=large.record.joined - {"rack2-cp0"}).save(large.dc)
    large.kept.dead.add("rack2-cp0")
    with pytest.raises(WaitTimeout):
        large.deploy()
    assert large.told("kubepods.slice") == ["rack2-cp0"]
    assert large.quorum.calls == ["remove id of rack2-cp0"]
    assert large.kept.deleted == ["Node rack2-cp0"]


def test_a_server_that_cannot_be_installed_is_named_with_the_reason(small: Bench) -> None:
    small.machine("rack1-cs0").broken = "/data is not mounted: data would not survive"
    with pytest.raises(ClusterError, match="install files: rack1-cs0: /data is not mounted"):
        small.deploy()


def test_what_lacks_a_control_plane_or_a_client_is_refused_before_anything_is_done(small: Bench) -> None:
    topology = small.lab.topology
    check = KubernetesDeployer().check
    check(topology)
    with pytest.raises(InputError, match="k8s-small has no Kubernetes"):
        check(replace(topology, kubernetes=None))
    with pytest.raises(HostError, match="no external client"):
        check(replace(topology, externals=()))
    with pytest.raises(HostError, match="nothing but exposed prefixes"):
        check(replace(topology, routing=Routing(exposed=True)))
    assert not small.told("")


def test_only_what_was_deployed_can_be_attached_to_or_asked_for_a_kubeconfig(small: Bench) -> None:
    assert list(deployed(small.dc)) == []
    with pytest.raises(ClusterError, match="no Kubernetes is deployed"):
        admin_kubeconfig(small.dc, server="https://127.0.0.1:1")
    small.deploy()
    assert [cluster.members for cluster in deployed(small.dc)] == [("rack0-cp0",)]
    assert '"server": "https://127.0.0.1:1"' in admin_kubeconfig(small.dc, server="https://127.0.0.1:1")
    assert api_targets(small.dc) == (("10.64.0.1", 6443),)


def test_a_fork_has_the_name_and_the_credentials_of_what_it_was_made_from(small: Bench) -> None:
    small.deploy()
    small.forget()
    small.lab.name = "fork"
    small.deploy()
    assert small.record.name == "lab"
    assert small.told("tar -xz") == []


def test_taints_of_others_stay_where_a_node_is_registered_anew(large: Bench) -> None:
    large.deploy()
    spec = large.kept.nodes["rack0-cp0"]["spec"]
    own, mine = list(spec["taints"]), {"key": "gpu", "value": "yes", "effect": "NoExecute"}
    spec["taints"] = [own[0], mine]
    second = {"key": "maintenance", "effect": "NoSchedule"}
    # somebody writes the node between our look and our word
    large.kept.meanwhile = lambda node: node["spec"]["taints"].append(second)
    del large.machine("rack0-cp0").marks["kube-proxy"]
    large.deploy()
    assert large.kept.nodes["rack0-cp0"]["spec"]["taints"] == [*own, mine, second]


def test_timers_stay_those_of_the_first_deployment_when_the_host_is_slower(small: Bench) -> None:
    small.deploy()
    small.forget()
    small.lab.slowness = 1.0
    small.deploy()
    assert small.told("tar -xz") == []
    assert small.record.cluster(small.dc).slowness == 0.0


def test_on_a_slow_host_nodes_start_as_many_at_a_time_as_it_has_cores(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("vdc.cluster.kubernetes.steps._READY_SECONDS", 0.01)
    small.lab.slowness = 1.0
    small.kept.dead.add("rack1-cs0")
    with pytest.raises(WaitTimeout, match="for rack1-cs0 to be Ready, in the step “start the nodes”"):
        small.deploy(retain=True)
    kubelets = [name for name, machine in small.lab.servers.items() if "kubelet" in machine.marks]
    assert kubelets == ["rack0-cp0", "rack1-cs0"]


def test_a_record_of_before_has_the_slowness_of_the_host(small: Bench) -> None:
    small.deploy()
    path = directory(small.dc) / "cluster.json"
    kept = json.loads(path.read_text())
    del kept["slowness"]
    path.write_text(json.dumps(kept))
    small.lab.slowness = 3.0
    assert small.record.cluster(small.dc).slowness == 3.0


def test_a_node_is_forgotten_when_its_kubelet_has_ended(large: Bench) -> None:
    large.deploy()
    replace(large.record, joined=large.record.joined - {"rack0-cs0"}).save(large.dc)
    large.kept.dead.add("rack0-cs0")
    large.killed(large.deploy, at=large.machine("rack0-cs0"), text="kubepods.slice")
    assert large.kept.deleted == []


def test_a_first_deployment_whose_taking_back_was_killed_is_begun_anew(small: Bench) -> None:
    small.kept.dead.add("rack2-ss0")
    small.killed(small.deploy, at=small.machine("rack2-ss0"), text="kubepods.slice")
    assert small.record.founded
    assert not small.machine("rack0-cp0").etcd_data
    small.kept.dead.clear()
    small.deploy()
    small.expect_whole()
