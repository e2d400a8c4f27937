"""A rolling reboot on data centres in memory: who goes when, who waits, and where it stops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from vdc.cluster.api import Cluster, MemberState
from vdc.cluster.kubernetes.api import Component
from vdc.errors import ClusterError, InputError, WaitTimeout
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.drain import KubernetesDrain
from vdc.rolling.holding import PROTECTED, held_by_budget, held_by_namespace, wait_back
from vdc.rolling.misfortunes import smash_root, without_root
from vdc.rolling.queue import Limits, Order
from vdc.rolling.reboots import HeldUpError, How, Turn, roll, stopping_at
from vdc.rolling.witness import judge_restarts, witnessing
from vdc.testing import FakeCluster, FakeDataCenter, FakeKubernetes, Lie

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SERVER, NODE = "rack1-cs0", "rack1-ss0"


def etcd(folder: Path, *lies: Lie) -> tuple[FakeDataCenter, FakeCluster]:
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), folder, lies=lies)
    return dc, FakeCluster(dc)


def kubernetes(folder: Path, *lies: Lie) -> FakeKubernetes:
    return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), folder, lies=lies))


def told(dc: FakeDataCenter, kind: str = "rolling") -> list[str]:
    events = (each.data for each in read(dc.recorder.path) if each.kind == kind)
    return [f"{each['phase']} {each['name']}" for each in events]


@pytest.mark.parametrize("how", How)
def test_all_go_and_come_back_one_after_the_other(tmp_path: Path, how: How) -> None:
    dc, cluster = etcd(tmp_path)
    with witnessing(dc) as witness:
        roll(dc, cluster, how=how)
    judge_restarts(witness, servers=cluster.members, most=1)
    assert told(dc) == [f"{phase} rack{rack}-cs0" for rack in range(3) for phase in ("start", "back")]
    assert {absence.action for absence in witness.away} == {"reboot" if how is How.GRACEFULLY else "off"}


def test_the_control_plane_goes_first_where_asked(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    with witnessing(cluster.dc) as witness:
        roll(cluster.dc, cluster, limits=Limits(order=Order.VOTERS_FIRST))
    judge_restarts(witness, servers=cluster.node_names, most=1, order=Order.VOTERS_FIRST)
    with pytest.raises(AssertionError, match="last_away: invalid: too early"):
        judge_restarts(witness, servers=cluster.node_names, most=1, order=Order.VOTERS_LAST)


def test_only_those_go_that_are_named(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    roll(dc, cluster, servers=[SERVER])
    assert told(dc) == [f"start {SERVER}", f"back {SERVER}"]


def test_the_queue_stops_where_a_server_does_not_come_back(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    smash_root(dc.servers[SERVER])
    with pytest.raises(ClusterError) as caught:
        roll(dc, cluster, how=How.BY_POWER, limits=Limits(patience=20))
    said = re.sub(r"in \d+ s", "in N s", str(caught.value))
    assert said == (
        f"{SERVER}: the queue stops: 5 attempts in N s, the last: {SERVER} is paused: it will not come back by itself\n"
        "  hint: not done yet: rack2-cs0"
    )
    assert "start rack2-cs0" not in told(dc)


def test_nobody_goes_while_a_server_has_no_power(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    dc.servers[SERVER].power_off()
    with pytest.raises(
        ClusterError, match="the queue stands still: rack0-cs0: another voter is away; rack2-cs0: another"
    ):
        roll(dc, cluster, servers=["rack0-cs0", "rack2-cs0"])
    assert told(dc) == []


def test_a_member_waits_while_another_does_not_serve(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    address = dc.topology.server(SERVER).node.ip
    dc.servers["rack0-cs0"].run(["nft", "-f", "-"], stdin=f"drop {address}")
    heard: list[str] = []
    with pytest.raises(ClusterError, match="has to stay while rack0-cs0 does not serve"):
        roll(dc, cluster, servers=[SERVER], held=heard.append)
    assert heard
    assert all(why.startswith(f"{SERVER} has to stay while rack0-cs0 does not serve") for why in heard), heard
    assert "back rack1-cs0" not in told(dc)


class Stumbling(FakeCluster):
    """A cluster whose state cannot be asked at first."""

    stumbles = 1

    def state(self) -> tuple[MemberState, ...]:
        if self.stumbles:
            self.stumbles -= 1
            raise ClusterError("nobody answers")
        return super().state()


def test_what_goes_wrong_before_a_server_leaves_holds_it_up_and_takes_no_power(tmp_path: Path) -> None:
    dc, _ = etcd(tmp_path)
    with witnessing(dc) as witness:
        roll(dc, Stumbling(dc), servers=[SERVER])
    assert told(dc) == [f"{phase} {SERVER}" for phase in ("start", "held", "start", "back")]
    judge_restarts(witness, servers=[SERVER], most=1)
    assert [absence.action for absence in witness.away] == ["reboot"]


class Forgetful(KubernetesDrain):
    """Cannot take a node into use again at first."""

    def use(self, name: str) -> Turn:
        if name not in self.protected:
            object.__setattr__(self, "protected", frozenset({name}))
            raise WaitTimeout("the API", deadline=0.0, last="no answer")
        yield from KubernetesDrain.use(self, name)


def test_a_server_that_is_back_and_not_in_use_yet_does_not_restart_again(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    with witnessing(cluster.dc) as witness:
        roll(cluster.dc, cluster, servers=[NODE], drain=Forgetful(kubernetes=cluster))
    assert told(cluster.dc) == [f"{phase} {NODE}" for phase in ("start", "failed", "start", "back")]
    judge_restarts(witness, servers=[NODE], most=1)
    assert cluster.get("Node", NODE)["spec"] == {"unschedulable": False}


def test_nobody_goes_while_a_node_is_not_ready(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    cluster.stop(Component.KUBELET, "rack0-cs0")
    with pytest.raises(ClusterError, match=f"the queue stands still: {NODE}: a node of another rack is away"):
        roll(cluster.dc, cluster, servers=[NODE])
    assert told(cluster.dc) == []


def test_one_that_was_held_up_and_then_may_not_go_does_not_wait_for_ever(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    with held_by_budget(cluster, NODE), pytest.raises(ClusterError, match=f"the queue stands still: {NODE}: a node of"):
        roll(
            cluster.dc,
            cluster,
            servers=[NODE],
            drain=KubernetesDrain(kubernetes=cluster),
            held=lambda _: cluster.stop(Component.KUBELET, "rack0-cs0"),
        )


PAIR = """\
name: pair
racks: [servers: {cp: 1}, servers: {cs: 2}]
roles: {cp: {memory: 1GiB, data: 1GiB, pod_blocks: 1}, cs: {memory: 1GiB, data: 1GiB, pod_blocks: 1}}
external: {clients: 1}
release: kubernetes-1.20
pools: {load_balancer: 10.140.0.0/24}
kubernetes: {}
"""


class Slow(KubernetesDrain):
    """Takes a while to take a node into use again."""

    def use(self, name: str) -> Turn:
        yield "it takes a while"
        yield from KubernetesDrain.use(self, name)


def test_two_of_a_rack_are_away_together_where_two_may(tmp_path: Path) -> None:
    file = tmp_path / "pair.yml"
    file.write_text(PAIR)
    dc = FakeDataCenter(expand(load(file)), tmp_path)
    cluster = FakeKubernetes(dc)
    with witnessing(dc) as witness:
        roll(dc, cluster, limits=Limits(at_once=2), how=How.BY_POWER, drain=Slow(kubernetes=cluster))
    judge_restarts(witness, servers=cluster.node_names, most=2, order=Order.VOTERS_LAST)
    assert told(dc)[:2] == ["start rack1-cs0", "start rack1-cs1"]
    with pytest.raises(AssertionError, match="at_most_away: invalid: 2 away at once, 1 allowed: rack1-cs0, rack1-cs1"):
        judge_restarts(witness, servers=cluster.node_names, most=1)


def test_a_reboot_that_is_ignored_is_not_taken_for_one(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path, Lie.REBOOT_IGNORED)
    with pytest.raises(ClusterError, match="the boot ID is still rack0-cs0-boot-1"):
        roll(dc, cluster)


def test_a_queue_that_stops_elsewhere_or_not_at_all_is_told() -> None:
    with pytest.raises(AssertionError, match="does not stop at a: it ends"), stopping_at("a"):
        pass
    with pytest.raises(AssertionError, match="does not stop at a: b: the queue stops"), stopping_at("a"):
        raise ClusterError("b: the queue stops: …")


def test_a_server_without_a_root_disk_is_replaced_where_the_body_fails(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    with pytest.raises(ClusterError), without_root(dc, cluster, SERVER):
        roll(dc, cluster, how=How.BY_POWER, limits=Limits(patience=20), servers=[SERVER])
    assert serves(cluster, SERVER)
    assert dc.dirty() is None


def test_nothing_is_replaced_where_the_body_has_done_so(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    seen: list[str] = []

    def replace_and_fail() -> None:
        cluster.replace(SERVER)
        seen.append(dc.servers[SERVER].boot_id())
        raise RuntimeError

    with pytest.raises(RuntimeError), without_root(dc, cluster, SERVER):
        replace_and_fail()
    assert seen == [dc.servers[SERVER].boot_id()]


def rolled(cluster: FakeKubernetes, servers: Sequence[str], drain: KubernetesDrain) -> list[str]:
    roll(cluster.dc, cluster, servers=servers, drain=drain, limits=Limits(patience=5))
    return told(cluster.dc)


def test_a_drained_node_is_in_use_again_afterwards(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    assert rolled(cluster, [NODE], KubernetesDrain(kubernetes=cluster)) == [f"start {NODE}", f"back {NODE}"]
    assert cluster.get("Node", NODE)["spec"] == {"unschedulable": False}


def test_a_node_that_is_held_up_stays_in_use(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    with held_by_budget(cluster, NODE), pytest.raises(ClusterError, match="vdc/guarded-0 may not be evicted: it would"):
        rolled(cluster, [NODE], KubernetesDrain(kubernetes=cluster))
    assert cluster.get("Node", NODE)["spec"] == {"unschedulable": False}
    assert f"back {NODE}" not in told(cluster.dc)


def test_protected_pods_are_not_asked_and_others_beside_them_neither(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    drain = KubernetesDrain(kubernetes=cluster, protected=frozenset({PROTECTED}))
    with held_by_namespace(cluster, NODE), pytest.raises(ClusterError, match=f"{PROTECTED}/staying-0 is protected"):
        rolled(cluster, [NODE], drain)
    assert "spec" not in cluster.get("Node", NODE)


def test_a_protected_pod_that_comes_late_is_not_evicted(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    drain = KubernetesDrain(kubernetes=cluster, protected=frozenset({PROTECTED}))
    turn = drain.drain(NODE)
    with held_by_namespace(cluster, NODE):
        before = cluster.pods(namespace=PROTECTED)
        drained = KubernetesDrain(kubernetes=cluster, protected=frozenset({PROTECTED}))
        with pytest.raises(HeldUpError, match="is protected"):
            drained._empty(NODE)
        assert cluster.pods(namespace=PROTECTED) == before
        with pytest.raises(HeldUpError, match="is protected"):
            next(turn)


def test_a_node_goes_as_soon_as_the_budget_is_lifted(tmp_path: Path) -> None:
    cluster = kubernetes(tmp_path)
    with held_by_budget(cluster, NODE) as hold:
        roll(cluster.dc, cluster, servers=[NODE], drain=KubernetesDrain(kubernetes=cluster), held=hold.lift)
    assert told(cluster.dc) == [f"start {NODE}", f"held {NODE}", f"start {NODE}", f"back {NODE}"]


def test_without_pods_there_is_nothing_to_come_back(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no pod is ready"), wait_back(kubernetes(tmp_path)):
        pass


def test_another_server_takes_the_place_of_one_that_is_lost(tmp_path: Path) -> None:
    dc, cluster = etcd(tmp_path)
    cluster.write("key", "value")
    smash_root(dc.servers[SERVER])
    dc.servers[SERVER].power_off()
    assert not serves(cluster, SERVER)
    cluster.replace(SERVER)
    assert serves(cluster, SERVER)
    assert cluster.read("key", via=SERVER) == "value"


def serves(cluster: Cluster, name: str) -> bool:
    return any(member.server == name and member.healthy for member in cluster.state())


@pytest.mark.parametrize("servers", [["rack9-cs0"], []])
def test_servers_that_there_are_not_are_no_success(tmp_path: Path, servers: list[str]) -> None:
    cluster = kubernetes(tmp_path)
    with pytest.raises(InputError, match="no such servers to restart"):
        roll(cluster.dc, cluster, servers=servers)
    assert told(cluster.dc) == []
