"""The judge of what users see while nodes restart: what is excused, and what is not."""

from __future__ import annotations

from dataclasses import replace

from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import FlowOutage
from vdc.observe.verdict import Kind, Verdict
from vdc.rolling.boots import End
from vdc.rolling.history import Absence
from vdc.rolling.users import served

AWAY = (
    Absence(server="a", start=20.0, end=50.0, action="reboot", guest=End.RESTART, hypervisor=frozenset({"reboot"})),
)


def judged(
    lane: str,
    device: str,
    *outages: tuple[float, float],
    members: tuple[str, ...] = ("a",),
    away: tuple[Absence, ...] = AWAY,
) -> Verdict:
    lost = tuple(FlowOutage(start=start, end=end, lost=5) for start, end in outages)
    flow = FlowSeen(name=lane, ends=("outside", device), lane=lane, sent=1000, lost=5 * len(lost), outages=lost)
    watch = FlowWatch(started=10.0, ended=100.0, latest=100.0, flows=(flow,))
    return served(watch, away, members=members, longest=2.0, returning=10.0)


def test_a_node_serves_nothing_while_it_is_away_and_shortly_after() -> None:
    assert judged("DNS of a", "a", (19.0, 61.0)).kind is Kind.VALID
    assert judged("DNS of a", "a", (17.0, 61.0)).kind is Kind.INVALID
    assert judged("DNS of a", "a", (21.0, 63.0)).kind is Kind.INVALID


def test_nobody_else_is_excused_meanwhile() -> None:
    assert judged("DNS of b", "b", (21.0, 24.0)).kind is Kind.INVALID
    assert judged("load balancer", "load balancer", (21.0, 24.0)).kind is Kind.INVALID
    assert judged("load balancer", "load balancer", (21.0, 22.0)).kind is Kind.VALID


def test_the_only_api_server_is_missed_by_all_who_ask_it_and_one_of_three_by_nobody_else() -> None:
    assert judged("API by the proxy of b", "b", (21.0, 49.0)).kind is Kind.VALID
    assert judged("API by the proxy of b", "b", (21.0, 49.0), members=("a", "c", "d")).kind is Kind.INVALID
    assert judged("API server of a", "a", (21.0, 49.0), members=("a", "c", "d")).kind is Kind.VALID
    assert judged("service by kube-proxy of b", "b", (21.0, 49.0)).kind is Kind.INVALID


def test_nobody_has_an_api_while_all_members_are_away_at_once_and_then_only() -> None:
    other = replace(AWAY[0], server="b", start=30.0, end=70.0)
    members = ("a", "b")
    assert judged("API by the proxy of c", "c", (30.0, 60.0), away=(*AWAY, other), members=members).kind is Kind.VALID
    assert judged("API by the proxy of c", "c", (26.0, 59.0), away=(*AWAY, other), members=members).kind is Kind.INVALID
    assert judged("API by the proxy of c", "c", (31.0, 63.0), away=(*AWAY, other), members=members).kind is Kind.INVALID
    assert judged("DNS of c", "c", (30.0, 60.0), away=(*AWAY, other), members=members).kind is Kind.INVALID


def test_the_address_of_a_pod_goes_with_the_boot_of_its_node_and_not_before() -> None:
    assert judged("pod on a", "a", (21.0, 100.0)).kind is Kind.VALID
    assert judged("pod on a", "a", (12.0, 15.0), (21.0, 100.0)).kind is Kind.INVALID
    assert judged("pod on b", "b", (21.0, 100.0)).kind is Kind.INVALID


def test_nothing_that_was_watched_proves_nothing() -> None:
    watch = FlowWatch(started=10.0, ended=100.0, latest=100.0)
    assert served(watch, AWAY, members=("a",), longest=2.0, returning=10.0).kind is Kind.UNKNOWN
