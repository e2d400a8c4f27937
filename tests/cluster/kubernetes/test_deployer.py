"""The deployer and the lives of nodes, on servers that only note what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.cluster.kubernetes import examples
from tests.cluster.kubernetes.live import Kept, Lab, Machine, Quorum, Reached
from vdc.cluster.deployers import DEPLOYERS, deployed
from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.cluster.kubernetes.cluster import LiveKubernetes
from vdc.cluster.kubernetes.deployer import KubernetesDeployer, admin_kubeconfig, api_targets
from vdc.cluster.kubernetes.members import peer_url
from vdc.cluster.kubernetes.outside import Trust
from vdc.cluster.kubernetes.record import Record, directory
from vdc.cluster.kubernetes.steps import STEPS
from vdc.datacenter import api as datacenter
from vdc.errors import ClusterError, HostError, InputError, WaitTimeout
from vdc.model.topology import Routing


class Bench:
    """A data centre, the control plane in memory, and a deployer that meets both."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.kept = Kept()
        self.quorum = Quorum(trust=Trust(ca=Path("/")), netns=None, timeout=1.0, urls={}, calls=[])

    @property
    def dc(self) -> datacenter.DataCenter:
        return cast(datacenter.DataCenter, self.lab)

    @property
    def record(self) -> Record:
        return Record.load(self.dc)

    def deploy(self, *, retain: bool = False) -> LiveKubernetes:
        live = KubernetesDeployer().deploy(self.dc, retain=retain)
        for node in self.record.cluster(self.dc).control_planes:
            self.quorum.urls[peer_url(node)] = f"id of {node.name}"
        for machine in self.lab.servers.values():
            machine.etcd_data = True
        return live

    def forget(self) -> None:
        """Forget what was said to servers so far."""
        for machine in self.lab.servers.values():
            machine.scripts.clear()

    def told(self, text: str) -> list[str]:
        """The servers that were told a script with this text."""
        return [name for name, machine in self.lab.servers.items() if any(text in each for each in machine.scripts)]

    def machine(self, name: str) -> Machine:
        return self.lab.servers[name]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bench]:
    def make(file: str) -> Bench:
        made = Bench(Lab(examples.cluster(file).topology, tmp_path / "run"))
        monkeypatch.setattr(
            Access, "of", lambda dc, *, name: Reached(dc, name=name, kept=made.kept, quorum=made.quorum)
        )
        monkeypatch.setattr("vdc.cluster.kubernetes.cluster.serving.expect_serving", lambda *_: None)
        return made

    return make


@pytest.fixture
def small(bench: Callable[[str], Bench]) -> Bench:
    return bench("k8s-small.yml")


@pytest.fixture
def large(bench: Callable[[str], Bench]) -> Bench:
    return bench("k8s.yml")


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


def test_api_servers_start_together_at_first_and_later_one_after_the_other(large: Bench) -> None:
    first = starts_of_api_servers(large)
    assert sorted(first[:3]) == ["rack0-cp0", "rack1-cp0", "rack2-cp0"]
    assert first[3:] == ["/readyz"] * 3
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


def test_a_reimaged_worker_joins_again(small: Bench) -> None:
    live = small.deploy()
    machine = small.machine("rack1-cs0")
    machine.reimage("kubernetes-1.20")
    live.join(cast(datacenter.Machine, machine))
    assert set(machine.marks) == {"haproxy", "containerd", "dnsmasq", "kubelet", "kube-proxy", "vdc-agent"}
    assert small.quorum.calls == []


def test_a_member_that_kept_its_data_is_not_added_anew(large: Bench) -> None:
    live = large.deploy()
    machine = large.machine("rack1-cp0")
    live.join(cast(datacenter.Machine, machine))
    assert large.quorum.calls == []


def test_a_member_that_lost_its_data_is_another_one(large: Bench) -> None:
    live = large.deploy()
    machine = large.machine("rack1-cp0")
    machine.etcd_data = False
    live.join(cast(datacenter.Machine, machine))
    assert large.quorum.calls == ["remove id of rack1-cp0", "add rack1-cp0"]
    assert any("rm -rf /data/etcd" in script for script in machine.scripts)


def test_removing_a_worker_drains_it_and_takes_everything_off_it(small: Bench) -> None:
    live = small.deploy()
    pod = {"metadata": {"name": "web", "namespace": "default"}, "node": "rack1-cs0"}
    daemon = {
        "metadata": {"name": "ds", "namespace": "default", "ownerReferences": [{"kind": "DaemonSet"}]},
        "node": "rack1-cs0",
    }
    small.kept.pods = [pod, daemon]
    # one look finds the pod, which is told to go; in simulated time there is no second look
    with pytest.raises(WaitTimeout, match="default/web still there"):
        live.remove("rack1-cs0")
    assert small.kept.evicted == ["web"]
    live.remove("rack1-cs0")
    assert small.told("kubepods.slice") == ["rack1-cs0"]
    assert small.kept.deleted == ["Node rack1-cs0"]
    assert live.node_names == ("rack0-cp0", "rack2-ss0")


def test_removing_a_control_plane_node_takes_its_member_out_and_tells_the_others(large: Bench) -> None:
    live = large.deploy()
    before = dict(large.machine("rack0-cs0").marks)
    live.remove("rack2-cp0")
    assert large.quorum.calls == ["remove id of rack2-cp0"]
    assert live.members == ("rack0-cp0", "rack1-cp0")
    after = large.machine("rack0-cs0").marks
    assert {name for name in after if after[name] != before[name]} == {"haproxy"}


def test_the_only_control_plane_node_is_not_removed(small: Bench) -> None:
    live = small.deploy()
    for verb in (live.remove, live.replace):
        with pytest.raises(ClusterError, match="rack0-cp0 is the only control-plane node"):
            verb("rack0-cp0")
    assert not small.told("kubepods.slice")


def test_a_promoted_worker_is_a_member_and_every_proxy_knows_it(small: Bench) -> None:
    live = small.deploy()
    small.machine("rack1-cs0").etcd_data = False
    before = dict(small.machine("rack2-ss0").marks)
    live.promote("rack1-cs0")
    assert live.members == ("rack0-cp0", "rack1-cs0")
    assert small.quorum.calls == ["add rack1-cs0"]
    assert {"etcd", "kube-apiserver"} <= set(small.machine("rack1-cs0").marks)
    after = small.machine("rack2-ss0").marks
    assert {name for name in after if after[name] != before[name]} == {"haproxy"}
    assert "node-role.kubernetes.io/control-plane" in small.kept.nodes["rack1-cs0"]["metadata"]["labels"]


def test_replacing_a_dead_member_gives_it_a_new_disk_and_a_new_identity(large: Bench) -> None:
    live = large.deploy()
    machine = large.machine("rack2-cp0")
    machine.on = False
    live.replace("rack2-cp0")
    assert machine.reimaged == ["kubernetes-1.20"]
    assert large.quorum.calls == ["remove id of rack2-cp0", "add rack2-cp0"]
    assert machine.on
    assert "kubelet" in machine.marks


def test_asking_for_a_node_that_is_none_names_those_there_are(small: Bench) -> None:
    live = small.deploy()
    with pytest.raises(ClusterError, match="no node 'rack9-x'; there are rack0-cp0, rack1-cs0, rack2-ss0"):
        live.remove("rack9-x")
    with pytest.raises(ClusterError, match="no members to wait for"):
        live.wait_serving(members=[])
