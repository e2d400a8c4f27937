from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.kubernetes.examples import ROOT
from tests.conftest import Golden
from vdc.cluster.etcd_config import heartbeat
from vdc.cluster.kubernetes.timers import go_duration, timers

SLOWNESS = st.floats(min_value=0, max_value=100)


@given(SLOWNESS, SLOWNESS)
def test_no_timer_is_shorter_on_a_slower_host(one: float, other: float) -> None:
    fast, slow = asdict(timers(min(one, other))), asdict(timers(max(one, other)))
    assert all(slow[name] >= fast[name] for name in fast)


@given(SLOWNESS)
def test_timers_go_together(slowness: float) -> None:
    now = timers(slowness)
    assert now.etcd_election == pytest.approx(10 * now.etcd_heartbeat, rel=0.2)
    assert now.etcd_election <= 50
    assert now.lease > now.lease_renew > now.lease_retry * 1.2
    assert now.node_grace >= now.node_lease
    assert now.node_grace > 2 * now.node_status
    assert now.node_grace > 2 * now.node_monitor


@pytest.mark.parametrize("slowness", [0.0, 0.1, 1.0, 4.0])
def test_etcd_is_as_patient_as_where_it_is_deployed_alone(slowness: float) -> None:
    assert 1000 * timers(slowness).etcd_heartbeat == heartbeat(slowness)


@pytest.mark.parametrize("slowness", [0.0, 0.1])
def test_a_fast_host_has_the_defaults(slowness: float) -> None:
    assert timers(slowness).described() == {}


@pytest.mark.parametrize("slowness", [0.3, 1.0, 12.0])
def test_what_is_not_as_by_default_is_told(slowness: float, golden: Golden) -> None:
    told = json.dumps(timers(slowness).described(), indent=1)
    golden(ROOT / f"tests/golden/kubernetes/timers/{slowness:g}.json", told + "\n")


def test_a_duration_is_as_go_has_it() -> None:
    assert [go_duration(each) for each in (0.5, 1.0, 90.0)] == ["0.5s", "1s", "90s"]
