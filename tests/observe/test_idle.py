"""What counts as a change while nothing happens, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.idle import changed_settings, changes, settings, states
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

Make = Callable[..., FakeKubernetes]


class Listing(FakeKubernetes):
    """A cluster with some objects more."""

    more: Mapping[str, Any] = {}

    def list(self, kind: str, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Any, ...]:
        return (*super().list(kind, namespace=namespace, labels=labels), *self.more.get(kind, ()))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(*lies: Lie) -> FakeKubernetes:
        topology = expand(load(Path(__file__).parents[2] / "topologies" / "k8s.yml"))
        return Listing(FakeDataCenter(topology, tmp_path, lies=lies))

    return made


def test_nothing_changes_where_nothing_happens(make: Make) -> None:
    cluster = make()
    assert changes(states(cluster), states(cluster)) == ()
    assert states(cluster)["kubelet.service on rack0-cp0"] == "kubelet-1"


def test_what_changes_comes_and_goes_is_told_in_words() -> None:
    before = {"Service vdc/web": "3", "Pod vdc/a": "4", "etcd.service on cp": "x"}
    after = {"Service vdc/web": "5", "Pod vdc/b": "6", "etcd.service on cp": "x"}
    assert changes(before, after) == (
        "Pod vdc/a: 4 → absent",
        "Pod vdc/b: absent → 6",
        "Service vdc/web: 3 → 5",
    )


def _node(version: str, heartbeat: str, ready: str) -> Mapping[str, Any]:
    return {
        "metadata": {"name": "cp", "resourceVersion": version},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}]},
    }


def test_a_heartbeat_of_a_node_is_no_change_and_its_state_is(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    seen = []
    for node in (_node("1", "now", "True"), _node("2", "later", "True"), _node("3", "later", "False")):
        cluster.more = {"Node": (node,)}
        seen.append(states(cluster))
    assert changes(seen[0], seen[1]) == ()
    (change,) = changes(seen[1], seen[2])
    assert change.startswith("Node cp: {'Ready': 'True'}")


def test_an_event_is_a_change_that_says_what_happened(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    before = states(cluster)
    metadata = {"name": "web.1", "namespace": "vdc", "resourceVersion": "9"}
    event = {"metadata": metadata, "reason": "Unhealthy", "message": "probe failed", "count": 2}
    cluster.more = {"Event": (event,)}
    assert changes(before, states(cluster)) == ("Event vdc/web.1: absent → Unhealthy: probe failed ×2",)


def test_settings_go_to_the_history(make: Make) -> None:
    cluster = make()
    assert settings(cluster)["rack0-cp0 net.ipv4.conf.all.arp_ignore"] == "0"
    noted = {event.source for event in read(cluster.dc.recorder.path) if "sysctls" in event.data}
    assert noted == set(cluster.node_names)


def test_settings_of_interfaces_that_came_are_no_change() -> None:
    before = {"cp net.ipv4.conf.all.rp_filter": "0", "cp net.ipv4.conf.veth1.rp_filter": "0"}
    after = {"cp net.ipv4.conf.all.rp_filter": "2", "cp net.ipv4.conf.veth2.rp_filter": "1"}
    assert changed_settings(before, after) == ("cp net.ipv4.conf.all.rp_filter: 0 → 2",)


def test_settings_that_were_not_seen_twice_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="both before and after"):
        changed_settings({"a": "1"}, {"b": "1"})
