"""A million samples become a few figures, and the outages stay those of the checkers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.observe.ops import Gap, Operation, Outcome
from vdc.observe.outages import waits
from vdc.report.html.samples import Samples, failures, lane_of, profile, stint


def sample(
    start: float, *, ok: bool = True, took: float = 0.005, member: str = "a", error: str = "refused"
) -> Operation:
    outcome = Outcome.OK if ok else Outcome.FAILED
    told = None if ok else error
    return Operation(
        op="read", key="k", value=None, start=start, end=start + took, outcome=outcome, member=member, error=told
    )


@pytest.mark.parametrize(
    ("source", "lane"),
    [
        ("etcd-probe vdc/probe/94f08bc86a01", "etcd reads"),
        ("icmp-probe rack0 → rack1", "icmp rack0 → rack1 reads"),
        ("http-probe external → rack0 0123456789ab", "http external → rack0 reads"),
        ("probe", "probe reads"),
    ],
)
def test_probes_of_one_kind_share_a_lane_whatever_each_is_called(source: str, lane: str) -> None:
    assert lane_of(source, "read") == lane


def test_a_lane_has_the_stints_of_its_probes_in_order_and_their_gaps() -> None:
    samples = Samples()
    for base, source in ((100.0, "etcd-probe p/00000000bb"), (10.0, "etcd-probe p/00000000aa")):
        for number in range(50):
            samples.add(sample(base + 0.01 * number), source)
    samples.add_gap(Gap(end=101.0, seconds=0.5), "etcd-probe p/00000000bb")
    ((name, stints, gaps),) = samples.lanes()
    assert name == "etcd reads"
    assert [round(one.start) for one in stints] == [10, 100]
    assert [gap.start for gap in gaps] == [100.5]


def test_an_outage_is_a_wait_of_three_times_the_usual_one_at_least() -> None:
    one = stint([sample(0.01 * number) for number in range(1000)])
    assert one.usual == pytest.approx(0.015)
    assert one.threshold == pytest.approx(0.045)
    assert stint([sample(0.001 * number, took=0.0005) for number in range(100)]).threshold == 0.02


def test_samples_that_fail_alike_are_one_line_until_their_member_answers() -> None:
    told = [
        sample(1.0, ok=False),
        sample(1.1, ok=False, member="b"),
        sample(1.2, ok=False),
        sample(1.3, ok=False, error="timed out"),
        sample(1.4),
        sample(1.5, ok=False),
    ]
    assert [str(one) for one in failures(told)] == [
        "2 × refused (a)",
        "refused (b)",
        "timed out (a)",
        "refused (a)",
    ]


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.floats(0.001, 2)), min_size=1, max_size=60))
def test_the_profile_never_hides_the_longest_wait(drawn: list[tuple[float, bool, float]]) -> None:
    told = [sample(start, ok=ok, took=took) for start, ok, took in drawn]
    one = stint(told)
    longest = max(wait.seconds for wait in waits(told, "read"))
    shown = profile([one], start=one.start, end=one.end, bins=17)
    assert len(shown) == 17
    assert max(shown) == pytest.approx(longest * 1000, abs=1.001)
    assert max(shown) >= longest * 1000 - 1e-3
