"""What counts as a change while nothing happens, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vdc.errors import WaitTimeout
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.idle import Quiet, changed_settings, changes, first_settings, quiet, settings, states
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
        "metadata": {"name": "cp", "resourceVersion": version, "annotations": {"a": "b" * 200}},
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
    assert changes(seen[1], seen[2]) == (
        'Node cp: Ready: {"status": "True", "type": "Ready"} → {"status": "False", "type": "Ready"}',
    )


def test_what_is_long_is_compared_whole_and_shown_short(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    seen = []
    for end in ("x", "y"):
        cluster.more = {"Node": ({"metadata": {"name": "cp", "labels": {"a": "b" * 200 + end}}},)}
        seen.append(states(cluster))
    (change,) = changes(*seen)
    assert change.startswith('Node cp: labels: {"a": "bbb')
    assert change.count("… (210 characters, ") == 2
    assert len(change) < 500


def _event(count: int) -> Mapping[str, Any]:
    metadata = {"name": "web.1", "namespace": "vdc", "uid": "u1", "resourceVersion": "9"}
    return {"metadata": metadata, "reason": "Unhealthy", "message": "probe failed", "count": count}


def test_an_event_is_a_change_that_says_what_happened_and_one_that_expires_is_none(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    none = states(cluster)
    cluster.more = {"Event": (_event(2),)}
    two = states(cluster)
    cluster.more = {"Event": (_event(3),)}
    assert changes(none, two) == ("Event vdc/web.1 u1: absent → Unhealthy: probe failed ×2",)
    assert changes(two, states(cluster)) == (
        "Event vdc/web.1 u1: Unhealthy: probe failed ×2 → Unhealthy: probe failed ×3",
    )
    assert changes(two, none) == ()


def test_endpoint_slices_are_looked_at_in_the_version_that_the_api_has(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    slice_ = {"metadata": {"name": "web-1", "namespace": "vdc", "resourceVersion": "7"}}
    cluster.more = {"discovery.k8s.io/v1beta1 EndpointSlice": (slice_,)}
    assert states(cluster)["EndpointSlice vdc/web-1"] == "7"


def test_a_quiet_time_begins_when_all_is_settled(make: Make) -> None:
    for lie, what in {Lie.OBJECTS_CHURN: "Namespace default: ", Lie.PODS_RESTART: "restarts of web-"}.items():
        with pytest.raises(WaitTimeout, match=f"all to be settled.*\n?.*{what}"):
            quiet(make(lie))


def test_what_happens_in_a_quiet_time_is_told(make: Make) -> None:
    cluster = make()
    assert isinstance(cluster, Listing)
    calm: Quiet = quiet(cluster)
    assert calm.changes(60.0) == ()
    assert {pod.node for pod in calm.web} == set(cluster.node_names)
    cluster.more = {"Event": (_event(1),)}
    assert calm.changes(60.0) == ("Event vdc/web.1 u1: absent → Unhealthy: probe failed ×1",)


def test_settings_go_to_the_history_with_what_they_were_at_first(make: Make) -> None:
    cluster = make(Lie.SYSCTL_CHANGED_AT_FIRST)
    first, now = first_settings(cluster, "rack0-cp0"), settings(cluster, "rack0-cp0")
    assert changed_settings(first, now) == ("net.ipv4.conf.all.rp_filter: 0 → 2",)
    noted = [event.data["when"] for event in read(cluster.dc.recorder.path) if "sysctls" in event.data]
    assert noted == ["before components ran", "now"]


def test_settings_of_interfaces_that_came_are_no_change() -> None:
    before = {"cp net.ipv4.conf.all.rp_filter": "0", "cp net.ipv4.conf.veth1.rp_filter": "0"}
    after = {"cp net.ipv4.conf.all.rp_filter": "2", "cp net.ipv4.conf.veth2.rp_filter": "1"}
    assert changed_settings(before, after) == ("cp net.ipv4.conf.all.rp_filter: 0 → 2",)


def test_settings_that_were_not_seen_twice_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="both before and after"):
        changed_settings({"a": "1"}, {"b": "1"})
