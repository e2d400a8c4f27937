"""What counts as converged, and what is said where it is not."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from vdc.datacenter.api import SessionState
from vdc.datacenter.convergence import (
    differences,
    fabric_seconds,
    route_differences,
    session_differences,
    wait_converged,
    without_services,
)
from vdc.datacenter.pace import budget, deadline
from vdc.errors import WaitTimeout
from vdc.model.deployment import Kubernetes
from vdc.model.expand import expand
from vdc.model.ip import Address, Prefix
from vdc.model.load import load
from vdc.testing import FakeDataCenter, Lie
from vdc.testing.devices import FakeRouter

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"
PEER, OTHER = ip_address("10.0.0.1"), ip_address("10.0.0.3")
PREFIX = ip_network("10.64.0.1/32")

MakeDataCenter = Callable[..., FakeDataCenter]


@pytest.fixture
def make_dc(tmp_path: Path) -> MakeDataCenter:
    def make(*lies: Lie) -> FakeDataCenter:
        return FakeDataCenter(expand(load(SMALL)), tmp_path, lies=lies)

    return make


def _state(*, bgp: str = "Established", bfd: str | None = "Up", peer: Address = PEER) -> SessionState:
    return SessionState(name="spine0", peer=peer, bgp=bgp, bfd=bfd)


def test_a_whole_data_centre_has_converged(make_dc: MakeDataCenter) -> None:
    assert wait_converged(make_dc()) >= 0.0


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (Lie.SESSION_DOWN, "expected Established"),
        (Lie.BFD_DOWN, "BFD with .* is Down"),
        (Lie.NEXT_HOP_MISSING, r"rack2-tor1: .* via \{.*\}, expected \{.*\}"),
    ],
)
def test_what_differs_is_named(make_dc: MakeDataCenter, lie: Lie, said: str) -> None:
    with pytest.raises(WaitTimeout, match=said):
        wait_converged(make_dc(lie))


def test_a_router_that_is_off_is_a_difference_unless_expected(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    dc.routers["spine0"].power_off()
    with pytest.raises(WaitTimeout, match="spine0"):
        wait_converged(dc)
    wait_converged(dc, down=["spine0"])


def test_a_router_that_runs_is_a_difference_where_it_should_be_off(make_dc: MakeDataCenter) -> None:
    with pytest.raises(WaitTimeout, match="expected down"):
        wait_converged(make_dc(), down=["spine0"])


def test_a_cut_cable_is_a_difference_unless_expected(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    dc.servers["rack0-cs0"].set_link("eth0", up=False)
    assert differences(dc) != ()
    wait_converged(dc, cut=[("rack0-cs0", "eth0")])


def test_a_server_that_does_not_answer_is_named(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    dc.servers["rack1-cs0"].crash()
    assert any(text.startswith("rack1-cs0: does not answer") for text in differences(dc))


def test_all_routers_agree_in_one_look_at_the_end(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_dc()
    last, first = list(dc.routers)[-1], next(iter(dc.routers))
    asked: list[str] = []
    routing = FakeRouter.routing

    def late(router: FakeRouter) -> Any:
        asked.append(router.name)
        sessions, routes = routing(router)
        return sessions, {} if router.name == last and asked.count(last) == 1 else routes

    monkeypatch.setattr(FakeRouter, "routing", late)
    wait_converged(dc, timeout=5.0)
    assert asked[: len(dc.routers)] == list(dc.routers)
    assert asked[len(dc.routers)] == last, "only what had not settled is asked again"
    assert asked[len(dc.routers) + 1 :] == list(dc.routers), "and then all once more"
    assert first != last


def test_a_router_that_no_longer_agrees_at_the_end_is_waited_for(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    last, first = list(dc.routers)[-1], next(iter(dc.routers))
    asked: list[str] = []
    routing = FakeRouter.routing

    def unsteady(router: FakeRouter) -> Any:
        asked.append(router.name)
        sessions, routes = routing(router)
        bad = (router.name == last and asked.count(last) == 1) or (router.name == first and asked.count(first) == 2)
        return sessions, {} if bad else routes

    monkeypatch.setattr(FakeRouter, "routing", unsteady)
    wait_converged(dc, timeout=5.0)
    assert asked.count(first) >= 3


def test_a_big_fabric_may_take_longer(make_dc: MakeDataCenter) -> None:
    topology = expand(load(SMALL))
    ends = sum(len(router.sessions) for router in topology.routers)
    assert fabric_seconds(topology) == pytest.approx(30 + 70e-6 * ends * len(topology.routers))


def test_only_the_first_differences_are_told(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    dc.routers["spine0"].power_off()
    with pytest.raises(WaitTimeout) as caught:
        wait_converged(dc)
    assert caught.value.last.count("; ") == 3
    assert caught.value.last.endswith("…")


def test_a_session_must_be_established_with_bfd() -> None:
    wanted = {PEER: "spine0"}
    assert list(session_differences("tor", wanted, [_state()])) == []
    assert list(session_differences("tor", wanted, [])) == ["tor: session with spine0 is absent, expected Established"]
    assert list(session_differences("tor", wanted, [_state(bgp="Active")])) == [
        "tor: session with spine0 is Active, expected Established"
    ]
    assert list(session_differences("tor", wanted, [_state(bfd=None)])) == [
        "tor: BFD with spine0 is absent, expected Up"
    ]


def test_a_session_too_many_is_a_difference() -> None:
    seen = [_state(), _state(peer=OTHER)]
    assert list(session_differences("tor", {PEER: "spine0"}, seen)) == [
        "tor: session spine0 is Established, expected down"
    ]
    assert list(session_differences("tor", {PEER: "spine0"}, [_state(), _state(peer=OTHER, bgp="Idle")])) == []


@pytest.mark.parametrize(
    ("wanted", "seen", "said"),
    [
        ({PREFIX: {PEER}}, {PREFIX: {PEER}}, []),
        ({PREFIX: {PEER}}, {}, ["tor: 10.64.0.1/32 missing, expected {10.0.0.1}"]),
        ({}, {PREFIX: {PEER}}, ["tor: 10.64.0.1/32 via {10.0.0.1}, expected no route"]),
        (
            {PREFIX: {PEER, OTHER}},
            {PREFIX: {OTHER}},
            ["tor: 10.64.0.1/32 via {10.0.0.3}, expected {10.0.0.1, 10.0.0.3}"],
        ),
    ],
)
def test_a_route_must_have_exactly_the_expected_next_hops(
    wanted: dict[Prefix, set[Address]], seen: dict[Prefix, set[Address]], said: list[str]
) -> None:
    found = route_differences("tor", _frozen(wanted), _frozen(seen))
    assert list(found) == said


def test_simulated_time_waits_for_nothing_and_budgets_never_shrink(make_dc: MakeDataCenter) -> None:
    assert deadline(make_dc(), 60.0) == 0.0
    assert budget(make_dc(), 60.0) == 60.0


def _frozen(routes: dict[Prefix, set[Address]]) -> dict[Prefix, frozenset[Address]]:
    return {prefix: frozenset(hops) for prefix, hops in routes.items()}


POOL = ip_network("10.140.0.0/24")
SERVED, BLOCK, PLAIN = ip_network("10.140.0.7/32"), ip_network("10.140.0.8/30"), ip_network("10.64.0.1/32")


@pytest.fixture
def balanced(tmp_path: Path) -> FakeDataCenter:
    """A data centre whose cluster has load balancers."""
    kubernetes = Kubernetes(control_planes=(), pods=(), services=(), load_balancers=(POOL,))
    return FakeDataCenter(replace(expand(load(SMALL)), kubernetes=kubernetes), tmp_path)


def test_the_addresses_of_load_balancers_come_and_go_as_the_cluster_wants_it(
    balanced: FakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    routing = FakeRouter.routing

    def also(prefix: Prefix) -> None:
        def with_it(router: FakeRouter) -> Any:
            sessions, routes = routing(router)
            return sessions, {**routes, prefix: frozenset({PEER})}

        monkeypatch.setattr(FakeRouter, "routing", with_it)

    also(SERVED)
    assert differences(balanced) == ()
    for other in (BLOCK, ip_network("10.141.0.7/32")):
        also(other)
        assert all(f"{other} via {{10.0.0.1}}, expected no route" in each for each in differences(balanced))
        assert len(differences(balanced)) == len(balanced.routers)


def test_without_a_cluster_no_route_is_left_out(make_dc: MakeDataCenter) -> None:
    seen = {SERVED: frozenset({PEER}), PLAIN: frozenset({PEER})}
    assert without_services(make_dc().topology, seen) == seen


def test_an_address_of_the_pool_that_a_server_announces_itself_is_not_left_out(balanced: FakeDataCenter) -> None:
    seen = {SERVED: frozenset({PEER}), PLAIN: frozenset({PEER})}
    assert without_services(balanced.topology, seen) == {PLAIN: frozenset({PEER})}
    assert without_services(balanced.topology, seen, {SERVED}) == seen
