"""Which flows there are, which ports cover all ways, and what a ledger makes of numbers that come or don't."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.observe.samples import unhurried
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.observe.flows import GUEST_PATIENCE, MOST_WAYS, Hop, covering, flows_of, shares
from vdc.observe.ledger import Counts, FlowOutage, Ledger

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
PERIOD, PATIENCE = 0.01, 0.5


def topology(name: str) -> Topology:
    return expand(load(TOPOLOGIES / name))


@pytest.mark.parametrize("file", sorted(path.name for path in TOPOLOGIES.glob("*.yml")))
def test_each_pair_of_racks_and_each_client_and_rack_are_joined_both_ways_by_each_protocol(file: str) -> None:
    site = topology(file)
    found = flows_of(site)
    joined = {(flow.between, flow.protocol) for flow in found}
    racks = [f"rack{number}" for number in site.racks]
    pairs = {(a, b) for a in racks for b in racks if racks.index(a) < racks.index(b)}
    outside = {(client.name, rack) for client in site.externals for rack in racks if not site.routing.exposed}
    assert pairs
    assert joined == {(pair, protocol) for pair in pairs | outside for protocol in ("udp", "icmp")}
    udp = {(flow.source, flow.target) for flow in found if flow.protocol == "udp"}
    assert udp == {(target, source) for source, target in udp}
    assert {router for pair in udp for router in pair} >= {r.name for r in site.routers if r.rack is not None}
    assert len({flow.name for flow in found}) == len(found)


def test_echo_requests_go_to_servers_where_there_are_any_and_wait_for_them() -> None:
    icmp = [flow for flow in flows_of(topology("small.yml")) if flow.protocol == "icmp"]
    assert {flow.target for flow in icmp} == {"rack0-cs0", "rack1-cs0", "rack2-cs0"}
    assert {flow.patience for flow in icmp} == {GUEST_PATIENCE}
    assert str(next(flow for flow in icmp if flow.target == "rack0-cs0").far) == "10.64.0.1"
    bare = [flow for flow in flows_of(topology("fabric.yml")) if flow.protocol == "icmp"]
    assert all(flow.target.endswith(("tor0", "tor1")) for flow in bare)
    assert {flow.source[-4:] for flow in bare if flow.source.startswith("rack")} == {"tor0", "tor1"}


def test_flows_of_a_client_and_of_racks_are_told_apart_in_words() -> None:
    found = {flow.name: flow.lane for flow in flows_of(topology("fabric.yml"), racks=[2, 0])}
    assert found["rack2-tor1 → rack0-tor1 udp"] == "rack0 ↔ rack2 udp"
    assert found["rack2-tor1 → external udp"] == "external → rack2 udp"
    assert not [name for name in found if "rack1" in name]


def test_a_site_whose_borders_know_no_rack_has_no_flows_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "exposed.yml"
    file.write_text(
        "name: exposed\nracks: [{count: 2}]\nexternal: {clients: 1}\nrouting: {exposed: true}\n"
        "pools: {global: 203.0.113.0/24}\n"
    )
    assert {flow.between for flow in flows_of(expand(load(file)))} == {("rack0", "rack1")}


@unhurried
@given(most=st.integers(1, 200))
def test_shares_keep_every_flow_once_and_in_order_and_none_is_much_too_large(most: int) -> None:
    site = topology("small.yml")
    found = flows_of(site)
    parts = list(shares(site, found, most=most))
    assert [flow for part in parts for flow in part] == list(found)
    assert all(sum(2 if flow.protocol == "udp" else 1 for flow in part) <= most + 2 for part in parts)


HOPS = st.tuples(st.sampled_from(["tor", "spine0", "spine1", "super"]), st.sampled_from(["a", "b", "c"]))


@unhurried
@given(st.dictionaries(st.integers(1, 40), st.lists(HOPS, max_size=4).map(tuple), max_size=20))
def test_the_ports_that_are_chosen_cover_every_hop_or_are_as_many_as_may_be(ways: dict[int, tuple[Hop, ...]]) -> None:
    chosen = covering(ways)
    every = {hop for way in ways.values() for hop in way}
    covered = {hop for port in chosen for hop in ways[port]}
    assert len(set(chosen)) == len(chosen) <= MOST_WAYS
    assert covered == every or len(chosen) == MOST_WAYS


def told(fates: Sequence[bool]) -> tuple[Counts, list[FlowOutage]]:
    """Send as many packets as there are fates, which come at once or never."""
    ledger = Ledger(PATIENCE)
    outages: list[FlowOutage] = []
    for at, comes in enumerate(fates):
        now = at * PERIOD
        number = ledger.send(now)
        assert number == at
        if comes:
            ledger.come(number)
        outages += ledger.settle(now)
    outages += ledger.close(len(fates) * PERIOD)
    return ledger.take(), outages


@unhurried
@given(st.lists(st.booleans(), max_size=200))
def test_each_run_of_lost_packets_is_one_outage_as_long_as_from_the_one_before_to_the_one_after(
    fates: list[bool],
) -> None:
    counts, outages = told(fates)
    assert (counts.sent, counts.lost) == (len(fates), fates.count(False))
    assert (counts.duplicated, counts.reordered) == (0, 0)
    runs, at = [], 0
    for comes, run in groupby(fates):
        length = len(list(run))
        if not comes:
            runs.append((max(0, at - 1) * PERIOD, (at + length) * PERIOD, length))
        at += length
    found = [(outage.start, outage.end, outage.lost) for outage in outages]
    assert (
        found == pytest.approx(runs)
        if not runs
        else [f for run in found for f in run] == pytest.approx([value for run in runs for value in run])
    )


@unhurried
@given(start=st.floats(0.1, 0.5), seconds=st.floats(2 * PERIOD, 1.0))
def test_no_outage_of_two_periods_hides_between_samples_and_none_is_told_as_shorter(
    start: float, seconds: float
) -> None:
    fates = [not start <= at * PERIOD < start + seconds for at in range(300)]
    (outage,) = told(fates)[1]
    assert seconds - 1e-9 <= outage.seconds < seconds + 2 * PERIOD + 1e-9
    assert outage.start <= start
    assert outage.end >= start + seconds - 1e-9


@unhurried
@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6))
def test_what_comes_after_a_later_one_is_reordered_and_what_comes_again_is_duplicated(
    order: Sequence[int], again: list[int]
) -> None:
    ledger = Ledger(PATIENCE)
    for at in range(12):
        ledger.send(at * 1e-4)
    for number in (*order, *again):
        ledger.come(number)
    assert list(ledger.close(0.01)) == []
    overtaken = sum(number < max(order[:at], default=-1) for at, number in enumerate(order))
    assert ledger.take() == Counts(sent=12, lost=0, duplicated=len(again), reordered=overtaken)


def test_an_outage_that_goes_on_is_known_until_sending_stopped() -> None:
    ledger = Ledger(PATIENCE)
    ledger.come(ledger.send(0.0))
    ledger.send(0.01)
    assert list(ledger.settle(PATIENCE)) == []
    assert list(ledger.close(0.02)) == [FlowOutage(start=0.0, end=0.02, lost=1)]


def test_a_sender_that_stood_still_has_lost_nothing() -> None:
    ledger = Ledger(PATIENCE)
    outages: list[FlowOutage] = []
    for now in (0.0, 0.01, 5.0, 5.01):
        ledger.come(ledger.send(now))
        outages += ledger.settle(now)
    assert outages == []
    assert not ledger.waits


def test_what_comes_when_it_was_given_up_stays_lost() -> None:
    ledger = Ledger(PATIENCE, over=("tor", "spine"))
    ledger.come(ledger.send(0.0))
    ledger.send(0.01)
    ledger.come(ledger.send(0.02))
    assert ledger.waits
    (outage,) = ledger.settle(1.0)
    ledger.come(1)
    assert outage == FlowOutage(start=0.0, end=0.02, lost=1, over=("tor", "spine"))
    assert ledger.take() == Counts(sent=3, lost=1)
    assert ledger.take() == Counts()


@pytest.mark.parametrize("counts", [Counts(), Counts(sent=7), Counts(sent=7, lost=1), Counts(sent=7, reordered=2)])
def test_counts_are_written_as_a_number_or_as_what_was_wrong(counts: Counts) -> None:
    assert Counts.of(counts.row()) == counts
    assert isinstance(counts.row(), int) == (not counts.lost and not counts.reordered)
