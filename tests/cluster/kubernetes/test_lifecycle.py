"""Nodes that come and go, on servers that only note what they are told, below an etcd that has a quorum or not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cluster.kubernetes.live import Bench, Killed, Machine, Reached
from vdc.cluster.kubernetes.cluster import LiveKubernetes
from vdc.cluster.kubernetes.membership import Membership
from vdc.cluster.kubernetes.paths import FIRST_MEMBERS
from vdc.cluster.kubernetes.spec import Node
from vdc.datacenter import api as datacenter
from vdc.errors import ClusterError, WaitTimeout


def test_a_reimaged_worker_joins_again(small: Bench) -> None:
    made = small.deploy()
    machine = small.machine("rack1-cs0")
    machine.power_off()
    machine.reimage("kubernetes-1.20")
    with pytest.raises(ClusterError, match="rack1-cs0 does not run"):
        made.join(cast(datacenter.Machine, machine))
    machine.power_on()
    made.join(cast(datacenter.Machine, machine))
    assert set(machine.marks) == {"haproxy", "containerd", "dnsmasq", "kubelet", "kube-proxy", "vdc-agent"}
    assert small.quorum.calls == []


def test_a_member_that_kept_its_data_is_not_added_anew(large: Bench) -> None:
    made = large.deploy()
    machine = large.machine("rack1-cp0")
    made.join(cast(datacenter.Machine, machine))
    assert large.quorum.calls == []


def test_a_member_that_lost_its_data_is_another_one(large: Bench) -> None:
    made = large.deploy()
    machine = large.machine("rack1-cp0")
    machine.etcd_data = ""
    made.join(cast(datacenter.Machine, machine))
    assert large.quorum.calls == ["remove id of rack1-cp0", "add rack1-cp0", "promote rack1-cp0"]
    assert "ETCD_INITIAL_CLUSTER_STATE=existing" in machine.files[FIRST_MEMBERS]


def test_a_member_that_was_never_started_is_started_and_not_another_one(large: Bench) -> None:
    made = large.deploy()
    machine = large.machine("rack1-cp0")
    machine.etcd_data = ""
    large.killed(lambda: made.replace("rack1-cp0"), at=machine, text="start etcd ")
    large.deploy()
    assert large.quorum.calls == ["remove id of rack1-cp0", "add rack1-cp0", "promote rack1-cp0"]


def _pod(name: str, **metadata: object) -> dict[str, Any]:
    node = "rack1-cs0"
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid of {name}", **metadata},
        "spec": {"nodeName": node},
        "node": node,
    }


def test_removing_a_worker_drains_it_and_takes_everything_off_it(small: Bench) -> None:
    made = small.deploy()
    slow = _pod("slow", deletionTimestamp="2026-01-01T00:00:00Z")
    owner = {"kind": "DaemonSet", "controller": True}
    small.kept.pods = [_pod("web"), slow, _pod("ds", ownerReferences=[owner])]
    with pytest.raises(WaitTimeout, match="default/slow has not left"):
        made.remove("rack1-cs0")
    assert small.kept.evicted == ["web"]
    small.kept.pods.remove(slow)
    made.remove("rack1-cs0")
    assert small.told("kubepods.slice") == ["rack1-cs0"]
    assert small.kept.deleted == ["Node rack1-cs0"]
    assert made.node_names == ("rack0-cp0", "rack2-ss0")


def test_removing_a_control_plane_node_takes_its_member_out_and_tells_the_others(large: Bench) -> None:
    made = large.deploy()
    before = dict(large.machine("rack0-cs0").marks)
    made.remove("rack2-cp0")
    assert large.quorum.calls == ["remove id of rack2-cp0"]
    assert made.members == ("rack0-cp0", "rack1-cp0")
    after = large.machine("rack0-cs0").marks
    assert {name for name in after if after[name] != before[name]} == {"haproxy"}


def test_the_only_control_plane_node_is_not_removed(small: Bench) -> None:
    made = small.deploy()
    for verb in (made.remove, made.replace):
        with pytest.raises(ClusterError, match="rack0-cp0 is the only control-plane node"):
            verb("rack0-cp0")
    assert not small.told("kubepods.slice")


def test_a_promoted_worker_is_a_member_and_every_proxy_knows_it(small: Bench) -> None:
    made = small.deploy()
    before = dict(small.machine("rack2-ss0").marks)
    made.promote("rack1-cs0")
    assert made.members == ("rack0-cp0", "rack1-cs0")
    assert small.quorum.calls == ["add rack1-cs0", "promote rack1-cs0"]
    assert {"etcd", "kube-apiserver"} <= set(small.machine("rack1-cs0").marks)
    after = small.machine("rack2-ss0").marks
    assert {name for name in after if after[name] != before[name]} == {"haproxy"}
    assert "node-role.kubernetes.io/control-plane" in small.kept.nodes["rack1-cs0"]["metadata"]["labels"]


def test_what_is_removed_while_it_is_off_is_no_node_when_it_comes_back(large: Bench) -> None:
    made = large.deploy()
    machine = large.machine("rack2-cp0")
    machine.on = False
    made.remove("rack2-cp0")
    machine.on = True
    assert (machine.reimaged, machine.marks, machine.files) == ([machine.release], {}, {})


def test_an_api_server_has_ended_before_its_member_of_etcd_goes(large: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = large.deploy()
    running: list[str] = []
    dismiss = Membership.dismiss

    def noting(self: Membership, node: Node) -> None:
        running.extend(large.machine(node.name).marks)
        dismiss(self, node)

    monkeypatch.setattr(Membership, "dismiss", noting)
    made.remove("rack1-cp0")
    assert "etcd" in running
    assert not {"kube-apiserver", "kube-controller-manager", "kube-scheduler"} & set(running)


def test_the_only_controllers_hold_elections_before_there_are_others(small: Bench) -> None:
    made = small.deploy()
    told: list[tuple[str, bool]] = []

    def noting(machine: Machine) -> Callable[[str], None]:
        def note(component: str) -> None:
            if component == "kube-controller-manager":
                unit = machine.files["/etc/systemd/system/kube-controller-manager.service"]
                told.append((machine.name, "--leader-elect=true" in unit))

        return note

    for machine in small.lab.servers.values():
        machine.starting = noting(machine)
    made.promote("rack1-cs0")
    assert told == [("rack0-cp0", True), ("rack1-cs0", True)]
    made.remove("rack1-cs0")
    assert told[2:] == [("rack0-cp0", False)]


def test_replacing_a_dead_member_gives_it_a_new_disk_and_a_new_identity(large: Bench) -> None:
    made = large.deploy()
    machine = large.machine("rack2-cp0")
    machine.on = False
    made.replace("rack2-cp0")
    assert machine.reimaged == ["kubernetes-1.20"]
    assert large.quorum.calls == ["remove id of rack2-cp0", "add rack2-cp0", "promote rack2-cp0"]
    assert machine.on
    assert "kubelet" in machine.marks


def test_asking_for_a_node_that_is_none_names_those_there_are(small: Bench) -> None:
    made = small.deploy()
    with pytest.raises(ClusterError, match="no node 'rack9-x'; there are rack0-cp0, rack1-cs0, rack2-ss0"):
        made.remove("rack9-x")
    with pytest.raises(ClusterError, match="no members to wait for"):
        made.wait_serving(members=[])


Verb = Callable[[Bench], None]
VERBS: dict[str, tuple[str, tuple[str, ...], int, Verb]] = {
    "promote a worker beside one": ("k8s-small.yml", (), 8, lambda bench: live(bench).promote("rack1-cs0")),
    "remove a worker": ("k8s-small.yml", (), 3, lambda bench: live(bench).remove("rack1-cs0")),
    "remove a member": ("k8s.yml", (), 4, lambda bench: live(bench).remove("rack0-cp0")),
    "replace a member that is off": ("k8s.yml", ("rack2-cp0",), 4, lambda bench: live(bench).replace("rack2-cp0")),
}
"""The topology, the servers that are off, at how many moments the harness is killed, and what is done."""


def live(bench: Bench) -> LiveKubernetes:
    return LiveKubernetes(bench.dc, Reached(bench, name="lab"))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_killed_is_finished_by_the_next(
    verb: str, bench: Callable[[str], Bench], tmp_path: Path
) -> None:
    """Whenever that is: the same verb finishes it, and so does a deployment, as long as all servers run."""
    file, off, most, act = VERBS[verb]
    whole = bench(file)
    whole.deploy()
    for name in off:
        whole.machine(name).on = False
    for moment in whole.moments(act, tmp_path / "whole", most=most):
        first = whole.copy(tmp_path / f"{moment}")
        first.lab.fuse.left = moment
        with pytest.raises(Killed):
            act(first)
        second = first.copy(tmp_path / f"{moment}-again")
        again(second, act)
        second.expect_whole()
        if all(machine.on for machine in first.lab.servers.values()):
            first.deploy()
            first.expect_whole()


def again(bench: Bench, act: Verb) -> None:
    """Do it again; where it was as good as done, that is told."""
    with suppress(ClusterError):
        act(bench)
    bench.deploy()


def test_a_worker_that_does_not_run_is_not_promoted_and_nothing_is_noted(small: Bench) -> None:
    made = small.deploy()
    before = small.record
    small.machine("rack1-cs0").on = False
    with pytest.raises(ClusterError, match="rack1-cs0 does not run"):
        made.promote("rack1-cs0")
    assert small.record == before


def test_an_api_that_is_away_while_a_node_is_drained_is_waited_for_and_what_to_do_is_told(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small.deploy()

    def away(path: str, **query: str) -> object:
        raise ClusterError(f"GET {path}: connection refused")

    monkeypatch.setattr(small.kept, "get", away)
    with pytest.raises(WaitTimeout, match="rack1-cs0 to be drained; last: GET /api/v1/pods: conn") as failed:
        made.remove("rack1-cs0")
    assert failed.value.__notes__ == ["no pods come to rack1-cs0 until `vdc node lab add rack1-cs0`"]
    assert small.kept.nodes["rack1-cs0"]["spec"]["unschedulable"]


def test_what_to_do_is_told_where_a_node_cannot_even_be_cordoned(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small.deploy()

    def away(method: str, path: str, **_: object) -> str:
        raise ClusterError(f"{method} {path}: connection refused")

    monkeypatch.setattr(small.kept, "request", away)
    with pytest.raises(ClusterError, match="connection refused") as failed:
        made.remove("rack1-cs0")
    assert failed.value.__notes__ == ["no pods come to rack1-cs0 until `vdc node lab add rack1-cs0`"]
