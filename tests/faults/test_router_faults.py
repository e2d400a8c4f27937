"""Faults of what routers run and announce: each bites, is undone, and is found out where it does neither."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from vdc.datacenter.convergence import differences
from vdc.errors import HarnessTimeout, HealError, HostError
from vdc.faults import (
    BirdFrozen,
    BirdKilled,
    Fault,
    GracefulRestart,
    RouteHijacked,
    RouteWithdrawn,
    SessionShut,
    injected,
)
from vdc.faults.catalogue import from_record, parse, to_record
from vdc.faults.picking import among_of
from vdc.history import read
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]

SERVER, WITHIN, OUTSIDE = "10.64.0.1/32", "10.128.0.128/25", "10.128.0.0/24"

FAULTS = (
    BirdKilled(("spine0",)),
    BirdKilled(("rack0-tor0", "spine1")),
    BirdFrozen(("rack1-tor1",)),
    SessionShut("spine0", "rack0-tor0"),
    SessionShut("rack0-tor0", "rack0-cs0"),
    RouteWithdrawn("border0", ip_network(OUTSIDE)),
    RouteWithdrawn("rack0-tor0", ip_network("10.1.0.1/32")),
    RouteHijacked("rack1-tor0", ip_network(SERVER)),
    RouteHijacked("rack2-tor1", ip_network(WITHIN)),
)
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))


@pytest.fixture
def graceful(small: Topology, tmp_path: Path) -> MakeDataCenter:
    def make(*lies: Lie) -> FakeDataCenter:
        routing = dataclasses.replace(small.routing, graceful_restart=True)
        return FakeDataCenter(dataclasses.replace(small, routing=routing), tmp_path, lies=lies)

    return make


@every_fault
def test_a_fault_is_there_in_the_body_and_gone_after_it(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        assert differences(dc) != ()
    assert differences(dc) == ()
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_a_fault_does_not_bite(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(dc, fault):
        raise AssertionError("the body ran")
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_nothing_was_injected(
    make_dc: MakeDataCenter, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(fault), "inject", lambda *_: None)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(make_dc(), fault):
        raise AssertionError("the body ran")


@every_fault
def test_a_fault_that_cannot_be_healed_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@every_fault
def test_the_history_tells_every_phase_and_the_fault_comes_back_from_its_record(
    make_dc: MakeDataCenter, fault: Fault
) -> None:
    dc = make_dc()
    with injected(dc, fault):
        pass
    told = [event.data for event in read(dc.recorder.path) if event.kind == "fault"]
    assert [data["phase"] for data in told] == ["inject", "bites", "heal", "healed"]
    assert from_record(told[0]["fault"], dc) == fault
    assert from_record(to_record(fault), dc) == fault


def test_a_graceful_restart_costs_its_neighbours_the_session_and_no_route(graceful: MakeDataCenter) -> None:
    dc = graceful()
    before = dc.routers["rack0-tor0"].routes()
    with injected(dc, GracefulRestart("spine0")):
        assert dc.routers["rack0-tor0"].routes() == before
        assert any("session with spine0" in each for each in differences(dc))
    assert differences(dc) == ()


@pytest.mark.parametrize(
    ("lie", "error"), [(Lie.FAULT_WITHOUT_EFFECT, HarnessTimeout), (Lie.NEVER_HEALS, HealError)], ids=str
)
def test_a_graceful_restart_that_is_none_is_found_out(
    graceful: MakeDataCenter, lie: Lie, error: type[Exception]
) -> None:
    with pytest.raises(error), injected(graceful(lie), GracefulRestart("spine0")):
        pass


def test_a_restart_at_which_routes_are_dropped_is_not_graceful(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GracefulRestart, "missing", lambda *_: None)
    with (
        pytest.raises(HarnessTimeout, match="has no route over spine0"),
        injected(make_dc(), GracefulRestart("spine0")),
    ):
        raise AssertionError("the body ran")


@pytest.mark.parametrize("fault", [BirdKilled(("spine0",)), BirdFrozen(("border0",))], ids=lambda fault: fault.name)
def test_a_router_that_another_fault_has_silenced_is_no_witness(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, BirdFrozen(("rack0-tor0", "spine1"))):
        with injected(dc, fault):
            pass
        assert dc.dirty() is None
    assert differences(dc) == ()


def test_where_every_witness_is_silenced_nothing_is_proven(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    beside = {each.peer_device for each in dc.topology.router("spine0").sessions}
    with (
        pytest.raises((HarnessTimeout, HealError), match="does not tell"),
        injected(dc, BirdFrozen(tuple(sorted(beside & set(dc.routers))))),
        injected(dc, BirdKilled(("spine0",))),
    ):
        raise AssertionError("the body ran")


def test_two_changes_of_what_a_router_announces_are_undone_one_by_one(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    first, second = ip_network(SERVER), ip_network("10.64.0.17/32")
    with injected(dc, RouteHijacked("rack2-tor0", first)):
        with injected(dc, RouteHijacked("rack2-tor0", second)):
            assert _hops(dc, SERVER) != _hops(make_dc(), SERVER)
        assert _hops(dc, "10.64.0.17/32") == _hops(make_dc(), "10.64.0.17/32")
        assert _hops(dc, SERVER) != _hops(make_dc(), SERVER)
    assert differences(dc) == ()


def _hops(dc: FakeDataCenter, prefix: str) -> object:
    return dc.routers["spine0"].routes()[ip_network(prefix)]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (BirdKilled(("spine9",)), "there is no router spine9"),
        (BirdFrozen(("rack0-cs0",)), "there is no router rack0-cs0"),
        (GracefulRestart("spine0"), "the topology has no graceful restart"),
        (SessionShut("spine9", "border0"), "there is no router spine9"),
        (SessionShut("spine0", "spine1"), "spine0 has no session with spine1"),
        (RouteWithdrawn("spine9", ip_network(SERVER)), "there is no router spine9"),
        (RouteWithdrawn("spine0", ip_network(SERVER)), "announces 10.1.15.252/32 of its own, not 10.64.0.1/32"),
        (RouteHijacked("spine9", ip_network(SERVER)), "there is no router spine9"),
        (RouteHijacked("border0", ip_network(OUTSIDE)), "10.128.0.0/24 is its own"),
        (RouteHijacked("spine0", ip_network("198.51.100.0/24")), "nobody has 198.51.100.0/24"),
    ],
)
def test_what_nobody_would_notice_is_not_injected(make_dc: MakeDataCenter, fault: Fault, why: str) -> None:
    dc = make_dc()
    with pytest.raises(HostError, match=why), injected(dc, fault):
        raise AssertionError("the body ran")
    assert differences(dc) == ()


def test_routers_of_which_nobody_else_would_tell_are_left_alone(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    every = tuple(dc.routers)
    with pytest.raises(HostError, match="no other router has a session with"), injected(dc, BirdKilled(every)):
        raise AssertionError("the body ran")


@pytest.mark.parametrize(
    ("kind", "words", "fault"),
    [
        ("bird-killed", {"routers": "spine0,spine1"}, BirdKilled(("spine0", "spine1"))),
        ("session-shut", {"router": "spine0", "peer": "border0"}, SessionShut("spine0", "border0")),
        ("route-hijacked", {"router": "spine0", "prefix": SERVER}, RouteHijacked("spine0", ip_network(SERVER))),
        ("route-withdrawn", {"router": "b", "prefix": "fd00::/64"}, RouteWithdrawn("b", ip_network("fd00::/64"))),
    ],
)
def test_a_person_says_it_in_words(make_dc: MakeDataCenter, kind: str, words: dict[str, str], fault: Fault) -> None:
    assert parse(kind, words, make_dc()) == fault


def test_a_peer_may_be_any_device() -> None:
    assert {among_of(field) for field in ("device", "peer")} == {"devices"}
    assert (among_of("router"), among_of("server")) == ("routers", "servers")


def test_a_neighbour_that_another_fault_has_silenced_proves_nothing(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with (
        injected(dc, BirdFrozen(("rack0-tor0",))),
        pytest.raises(HealError, match=r"rack0-tor0 does not tell: .*birdc"),
        injected(dc, SessionShut("spine0", "rack0-tor0")),
    ):
        raise AssertionError("the body ran")
