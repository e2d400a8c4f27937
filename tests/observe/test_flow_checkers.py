"""The judge of flows: on good and bad histories, on blind ones, and on none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.observe.samples import unhurried
from vdc.observe.flow_checkers import judge_flows, longest_flow_outage
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import FlowOutage
from vdc.observe.ops import Gap
from vdc.observe.verdict import Kind


def flow(*outages: tuple[float, float], ends: tuple[str, str] = ("a", "b"), sent: int = 1000) -> FlowSeen:
    found = tuple(FlowOutage(start=a, end=b, lost=round(100 * (b - a)), over=("a", "spine0")) for a, b in outages)
    return FlowSeen(
        name=" → ".join(ends), ends=ends, lane="lane", sent=sent, lost=sum(each.lost for each in found), outages=found
    )


def watch(*flows: FlowSeen, gaps: tuple[Gap, ...] = (), latest: float = 20.0) -> FlowWatch:
    return FlowWatch(started=10.0, ended=20.0, latest=latest, flows=flows, gaps=gaps)


def test_packets_that_all_came_are_valid_and_the_figures_say_how_sure_that_is() -> None:
    verdict = longest_flow_outage(watch(flow(), flow(ends=("b", "a"))), budget=0.1)
    assert verdict.kind is Kind.VALID
    assert verdict.message == "longest outage 0.000 s of 2 flows, 0.100 s allowed"
    assert verdict.figures == {"outage": 0.0, "lost": 0.0, "duplicated": 0.0, "reordered": 0.0, "resolution": 0.02}


def test_an_outage_over_the_budget_is_invalid_and_its_way_is_named() -> None:
    verdict = longest_flow_outage(watch(flow((12.0, 12.5)), flow()), budget=0.1)
    assert verdict.kind is Kind.INVALID
    assert verdict.message == "a → b over spine0: nothing came for 0.500 s; 0.100 s allowed"
    assert verdict.figures["lost"] == pytest.approx(0.025)


def test_a_flow_that_ends_where_something_is_gone_is_left_out() -> None:
    seen = watch(flow((12.0, 15.0)), flow(ends=("c", "d")))
    judge_flows(seen, longest=0.1, besides=["b"])
    assert longest_flow_outage(seen, budget=0.1, besides=["c"]).kind is Kind.INVALID
    assert longest_flow_outage(replace(seen, away=frozenset("b")), budget=0.1).figures["outage"] == 0.0


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (watch(), "no flow was watched"),
        (watch(flow(ends=("x", "y"))), "no flow was watched"),
        (watch(flow(), flow(sent=0)), "nothing was sent: a → b"),
        (watch(flow(), latest=15.0), "it told of nothing in the last 5.00 s"),
        (watch(flow(), latest=float("-inf")), "it told of nothing in the last inf s"),
        (watch(flow(), gaps=(Gap(end=15.0, seconds=2.0),)), "starved for up to 2.00 s"),
        (watch(flow((13.0, 15.01)), gaps=(Gap(end=15.0, seconds=2.0),)), "starved for up to 2.00 s"),
    ],
    ids=["none", "none left", "nothing sent", "gone", "never there", "starved", "perhaps its own"],
)
def test_what_nobody_looked_at_is_unknown(seen: FlowWatch, why: str) -> None:
    verdict = longest_flow_outage(seen, budget=0.1, besides=["x"])
    assert verdict.kind is Kind.UNKNOWN
    assert why in verdict.message


def test_a_flow_of_which_nothing_ever_came_is_invalid_however_short_that_was() -> None:
    never = FlowSeen(name="a → b", ends=("a", "b"), lane="l", sent=3, lost=3)
    verdict = longest_flow_outage(watch(flow(), never), budget=float("inf"))
    assert (verdict.kind, verdict.message) == (Kind.INVALID, "nothing ever came: a → b")


def test_only_the_probe_that_told_of_an_outage_is_excused_by_its_gaps() -> None:
    outage = FlowOutage(start=12.0, end=15.0, lost=300, source="p0")
    seen = FlowSeen(name="a → b", ends=("a", "b"), lane="lane", sent=1000, lost=300, outages=(outage,))
    for source, kind in (("p0", Kind.UNKNOWN), ("p1", Kind.INVALID)):
        gaps = (Gap(end=15.0, seconds=3.0, source=source),)
        assert longest_flow_outage(watch(seen, gaps=gaps), budget=0.1).kind is kind


def test_a_gap_before_the_body_or_a_short_one_is_no_doubt() -> None:
    gaps = (Gap(end=9.0, seconds=3.0), Gap(end=15.0, seconds=0.05))
    assert longest_flow_outage(watch(flow(), gaps=gaps), budget=0.1).kind is Kind.VALID


def test_where_an_outage_is_part_of_the_bargain_packets_are_demanded_all_the_same() -> None:
    judge_flows(watch(flow((11.0, 19.0))), longest=None)
    with pytest.raises(AssertionError, match="longest_flow_outage: unknown"):
        judge_flows(watch(flow((11.0, 19.0)), latest=-40.0), longest=None)


@unhurried
@given(st.lists(st.tuples(st.floats(10, 20), st.floats(0, 5)), max_size=4), st.floats(0, 5))
def test_the_verdict_follows_from_the_figure(stretches: list[tuple[float, float]], budget: float) -> None:
    verdict = longest_flow_outage(watch(flow(*((a, a + b) for a, b in stretches), sent=10_000)), budget=budget)
    assert verdict.kind is (Kind.INVALID if verdict.figures["outage"] > budget else Kind.VALID)
