"""The deployer and the cluster against gateways on loopback, through real client processes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from vdc.cluster.deployers import deployed
from vdc.cluster.etcd import EtcdCluster, EtcdDeployer
from vdc.cluster.etcd_config import peer_url
from vdc.datacenter.api import DataCenter, Machine
from vdc.errors import ClusterError, HostError, WaitTimeout
from vdc.model.topology import External, Routing, Segment, SegmentKind
from vdc.testing.loopback import LoopbackDataCenter


def deploy(lab: LoopbackDataCenter) -> EtcdCluster:
    return EtcdDeployer().deploy(cast(DataCenter, lab))


def test_deploying_installs_a_member_on_every_server(lab: LoopbackDataCenter) -> None:
    cluster = deploy(lab)
    assert cluster.members == ("rack0-cs0", "rack1-cs0", "rack2-cs0")
    assert [len(machine.scripts) for machine in lab.servers.values()] == [1, 1, 1]


def test_its_timers_are_told_where_they_are_not_etcds_own() -> None:
    fast, slow = (cast(DataCenter, SimpleNamespace(slowness=slowness)) for slowness in (0.1, 1.0))
    assert EtcdDeployer().timers(fast) == {}
    assert EtcdDeployer().timers(slow) == {
        "etcd heartbeat": "500 ms (default 100 ms)",
        "etcd election": "5000 ms (default 1000 ms)",
    }


def test_deploying_twice_sends_the_same_script_so_that_the_guest_can_skip_it(lab: LoopbackDataCenter) -> None:
    deploy(lab)
    deploy(lab)
    for machine in lab.servers.values():
        first, second = machine.scripts
        assert first == second


def test_joining_after_reimaging_sends_the_member_its_old_identity(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    machine = lab.servers["rack1-cs0"]
    cluster.join(cast(Machine, machine))
    assert machine.scripts[1] == machine.scripts[0]


def test_a_member_that_cannot_be_installed_is_named_with_the_reason(lab: LoopbackDataCenter) -> None:
    lab.servers["rack1-cs0"].broken = "/data is not mounted"
    with pytest.raises(ClusterError, match="rack1-cs0: etcd could not be installed: /data is not mounted"):
        deploy(lab)


def test_attaching_to_what_was_never_deployed_is_an_error(lab: LoopbackDataCenter) -> None:
    with pytest.raises(ClusterError, match="no etcd cluster is deployed on loopback"):
        EtcdDeployer().attach(cast(DataCenter, lab))


def test_nothing_is_deployed_where_nobody_could_ask(lab: LoopbackDataCenter) -> None:
    lab.externals.clear()
    assert list(deployed(cast(DataCenter, lab))) == []


def test_a_data_centre_without_a_client_is_refused_with_a_hint(lab: LoopbackDataCenter) -> None:
    lab.externals.clear()
    with pytest.raises(HostError, match="no external client"):
        deploy(lab)


def test_a_data_centre_whose_clients_reach_no_server_is_refused_before_anything_is_written(
    lab: LoopbackDataCenter,
) -> None:
    lab.topology = replace(lab.topology, routing=Routing(exposed=True))
    with pytest.raises(HostError, match="nothing but exposed prefixes") as refused:
        deploy(lab)
    assert refused.value.hint
    assert not (lab.run_directory / "etcd").exists()


def test_a_client_on_a_network_of_its_own_is_not_asked_from(lab: LoopbackDataCenter) -> None:
    beside = External(name="external", segment="lab", interface="lab", addresses=(), gateways=())
    flat = Segment(name="lab", kind=SegmentKind.FLAT, prefixes=(), ports=())
    lab.topology = replace(lab.topology, externals=(beside,), segments=(flat,))
    with pytest.raises(HostError, match="no external client"):
        deploy(lab)


def test_what_is_written_through_one_member_is_read_through_the_others(cluster: EtcdCluster) -> None:
    cluster.write("a", "äöü", via="rack0-cs0")
    assert [cluster.read("a", via=member) for member in cluster.members] == ["äöü"] * 3


def test_the_version_that_all_members_speak_is_told(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    assert cluster.cluster_version() == "3.4.0"
    lab.store.cluster_version = "not_decided"
    with pytest.raises(ClusterError, match="have not agreed on a version yet"):
        cluster.cluster_version()


def url(lab: LoopbackDataCenter, name: str) -> str:
    return peer_url(lab.topology.server(name))


def test_another_server_takes_the_place_of_a_member_that_is_lost(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.store.members = {url(lab, name): f"id of {name}" for name in cluster.members}
    cluster.replace("rack1-cs0")
    assert lab.store.changes == [f"{verb} {url(lab, 'rack1-cs0')}" for verb in ("remove", "add")]
    first, renewed, joined = lab.servers["rack1-cs0"].scripts
    assert renewed == "renewed"
    assert '"initial-cluster-state": "new"' in first
    assert '"initial-cluster-state": "existing"' in joined
    cluster.wait_serving()


def test_what_was_cut_off_in_replacing_a_member_is_gone_on_with(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.store.members = {url(lab, name): f"id of {name}" for name in cluster.members if name != "rack1-cs0"}
    cluster.replace("rack1-cs0")
    assert lab.store.changes == [f"add {url(lab, 'rack1-cs0')}"]


def test_a_member_is_replaced_by_others_that_answer(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.store.members = {url(lab, name): f"id of {name}" for name in cluster.members}
    lab.store.errors["rack0-cs0"] = "etcdserver: request timed out"
    cluster.replace("rack1-cs0")
    assert len(lab.store.changes) == 2


def test_a_member_is_not_replaced_where_no_other_lets_it_go(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    impatient = EtcdCluster(cluster.dc, client=cluster.client, deadline=0.3)
    lab.store.errors = dict.fromkeys(cluster.members, "etcdserver: unhealthy cluster")
    with pytest.raises(WaitTimeout, match=r"etcd to remove the member at .* rack2-cs0: etcdserver: unhealthy"):
        impatient.replace("rack1-cs0")
    assert lab.store.changes == []


def test_an_empty_value_is_not_an_absent_key(cluster: EtcdCluster) -> None:
    cluster.write("empty", "")
    assert cluster.read("empty") == ""
    assert cluster.read("absent") is None


def test_a_prefix_of_more_keys_than_one_page_is_read_whole(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    written = {f"p/{number:05d}": str(number) for number in range(2500)}
    lab.store.pairs.update({key.encode(): value.encode() for key, value in written.items()})
    lab.store.pairs[b"p0-not-below"] = b"x"
    assert cluster.read_prefix("p/") == written


def test_a_member_that_is_down_is_reported_and_never_left_out(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.servers["rack1-cs0"].stop()
    states = {state.server: state for state in cluster.state()}
    assert {name: state.healthy for name, state in states.items()} == {
        "rack0-cs0": True,
        "rack1-cs0": False,
        "rack2-cs0": True,
    }
    assert states["rack1-cs0"].version == "?"
    assert [name for name, state in states.items() if state.leader] == ["rack0-cs0"]


def test_writing_through_a_member_that_is_down_raises(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.servers["rack0-cs0"].stop()
    with pytest.raises(ClusterError, match="via rack0-cs0"):
        cluster.write("a", "b", via="rack0-cs0")


def test_writing_through_any_member_passes_over_one_that_is_down(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    lab.servers["rack0-cs0"].stop()
    cluster.write("a", "b")
    assert cluster.read("a") == "b"


def test_an_unknown_member_is_refused_with_the_ones_there_are(cluster: EtcdCluster) -> None:
    with pytest.raises(ClusterError, match="no member 'rack9-cs0'; there are rack0-cs0"):
        cluster.read("a", via="rack9-cs0")


def test_waiting_for_no_members_proves_nothing_and_is_refused(cluster: EtcdCluster) -> None:
    with pytest.raises(ClusterError, match="no members"):
        cluster.wait_serving(members=[])


def test_waiting_ends_with_the_reason_of_the_member_that_does_not_serve(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    impatient = EtcdCluster(cluster.dc, client=cluster.client, deadline=0.3)
    lab.store.errors["rack2-cs0"] = "etcdserver: request timed out"
    with pytest.raises(WaitTimeout, match="rack2-cs0: status: etcdserver: request timed out"):
        impatient.wait_serving()
    impatient.wait_serving(members=["rack0-cs0", "rack1-cs0"])


def test_a_cluster_without_a_leader_does_not_serve(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    impatient = EtcdCluster(cluster.dc, client=cluster.client, deadline=0.3)
    lab.store.leader = "0"
    with pytest.raises(WaitTimeout, match="do not agree on one leader"):
        impatient.wait_serving()


def test_a_write_that_is_acknowledged_and_not_there_stops_the_wait_at_once(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    lab.store.pairs.clear()
    lab.store.loses = frozenset({b"vdc/serving/rack0-cs0"})
    with pytest.raises(ClusterError, match="rack0-cs0: read None"):
        cluster.wait_serving(members=["rack0-cs0"])
