from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.observe.availability import availability, recovered_within, total_outage
from vdc.observe.checkers import longest_outage
from vdc.observe.ops import Gap
from vdc.observe.verdict import Kind

from .samples import probed, stretches, unhurried

WINDOW: Mapping[str, Any] = {"start": 0.0, "end": 20.0}


class TestTotalOutage:
    def test_outages_add_up(self) -> None:
        verdict = total_outage(probed([(2, 4), (10, 13)]), budget=5.0, **WINDOW)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["outages"] == 4  # of writes and of reads
        assert verdict.figures["total"] == pytest.approx(5.2, abs=0.05)

    def test_what_is_allowed_is_valid(self) -> None:
        assert total_outage(probed([(2, 4), (10, 13)]), budget=5.5, **WINDOW).kind is Kind.VALID

    def test_short_waits_are_no_outage(self) -> None:
        assert total_outage(probed([(2, 2.3), (10, 10.3)]), budget=0.0, **WINDOW).figures["total"] == 0

    def test_without_samples_nothing_is_known(self) -> None:
        assert total_outage([], budget=1.0, **WINDOW).message == "no sample of a write nor of a read"

    def test_an_outage_that_the_probe_slept_through_is_doubtful(self) -> None:
        samples = [each for each in probed([]) if not 5 < each.start < 9]
        verdict = total_outage(samples, budget=1.0, gaps=[Gap(end=9.0, seconds=4.0)], **WINDOW)
        assert verdict.kind is Kind.UNKNOWN
        assert "the probe itself was starved for 4.00 s" in verdict.message

    @unhurried
    @given(stretches())
    def test_it_lies_between_the_longest_and_all_of_the_time(self, down: list[tuple[float, float]]) -> None:
        samples = probed(down)
        figures = total_outage(samples, budget=0.0, **WINDOW).figures
        longest = longest_outage(samples, budget=0.0, **WINDOW).figures["outage"]
        assert figures["total"] <= 20.0 + 1e-6
        assert figures["total"] >= (longest if longest > 0.5 else 0.0) - 1e-6

    @unhurried
    @given(stretches(), st.floats(0, 20))
    def test_it_is_valid_exactly_when_the_figure_is_allowed(
        self, down: list[tuple[float, float]], budget: float
    ) -> None:
        verdict = total_outage(probed(down), budget=budget, **WINDOW)
        assert verdict.kind is (Kind.VALID if verdict.figures["total"] <= budget else Kind.INVALID)


class TestAvailability:
    def test_a_tenth_without_service_leaves_nine(self) -> None:
        verdict = availability(probed([(5, 7)]), least_share=0.95, **WINDOW)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["availability"] == pytest.approx(0.895, abs=0.005)
        assert verdict.message.endswith("of 20.0 s, 95.000% demanded")
        assert availability(probed([(5, 7)]), least_share=0.85, **WINDOW).kind is Kind.VALID

    def test_without_samples_nothing_is_known(self) -> None:
        assert availability([], least_share=0.5).kind is Kind.UNKNOWN

    @unhurried
    @given(stretches(), st.floats(0.01, 0.999))
    def test_it_is_valid_exactly_when_the_share_is_reached(self, down: list[tuple[float, float]], share: float) -> None:
        verdict = availability(probed(down), least_share=share, **WINDOW)
        assert 0.0 <= verdict.figures["availability"] <= 1.0
        if abs(verdict.figures["availability"] - share) > 1e-9:
            assert verdict.kind is (Kind.VALID if verdict.figures["availability"] > share else Kind.INVALID)


class TestRecoveredWithin:
    def test_service_that_returns_in_time_is_valid(self) -> None:
        verdict = recovered_within(probed([(5, 8)]), since=5.0, budget=4.0, end=20.0)
        assert verdict.kind is Kind.VALID
        assert verdict.figures["recovered"] == pytest.approx(3.0, abs=0.15)

    def test_service_that_returns_late_is_invalid(self) -> None:
        verdict = recovered_within(probed([(5, 8)]), since=5.0, budget=2.0, end=20.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.message == "service again after 3.01 s, 2.00 s allowed"

    def test_a_budget_below_what_is_an_outage_counts_shorter_waits(self) -> None:
        assert recovered_within(probed([(5, 5.3)]), since=5.0, budget=0.2, end=20.0).kind is Kind.INVALID

    def test_service_that_goes_again_later_has_not_recovered(self) -> None:
        assert recovered_within(probed([(5, 6), (15, 17)]), since=5.0, budget=2.0, end=20.0).kind is Kind.INVALID

    def test_what_happened_before_does_not_count(self) -> None:
        assert recovered_within(probed([(1, 4)]), since=5.0, budget=0.5, end=20.0).kind is Kind.VALID

    def test_nobody_looking_proves_nothing(self) -> None:
        samples = [each for each in probed([]) if each.start < 6]
        verdict = recovered_within(samples, since=5.0, budget=20.0, end=20.0)
        assert verdict.kind is Kind.UNKNOWN
        assert recovered_within([], since=5.0, budget=1.0, end=20.0).kind is Kind.UNKNOWN

    @unhurried
    @given(stretches(), st.floats(0, 18), st.floats(0, 18))
    def test_it_is_valid_exactly_when_the_last_outage_ended_in_time(
        self, down: list[tuple[float, float]], since: float, budget: float
    ) -> None:
        verdict = recovered_within(probed(down), since=since, budget=budget, end=20.0)
        assert verdict.kind is (Kind.VALID if verdict.figures["recovered"] <= budget else Kind.INVALID)
