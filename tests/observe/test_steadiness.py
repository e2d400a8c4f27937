from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event
from vdc.observe.steadiness import converged_within, log_patterns, no_churn, no_duplicate, no_unexpected_restart
from vdc.observe.verdict import Kind

from .samples import unhurried

STATES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"))


def session(time: float, state: str, peer: str = "spine0", protocol: str = "bgp") -> Event:
    data = {"protocol": protocol, "peer": peer, "state": state}
    return Event(time=time, kind="session", source="rack0-tor0", data=data)


class TestConvergedWithin:
    def test_sessions_that_return_in_time_have_converged(self) -> None:
        events = [session(1, "up"), session(11, "down"), session(13, "up")]
        verdict = converged_within(events, since=10, budget=5, end=100)
        assert (verdict.kind, verdict.figures) == (Kind.VALID, {"converged": 3.0, "sessions": 1.0})

    def test_a_session_that_stays_down_is_told(self) -> None:
        verdict = converged_within([session(11, "down"), session(12, "up", "spine1")], since=10, budget=5, end=100)
        assert verdict.kind is Kind.INVALID
        assert verdict.message == "down in the end: rack0-tor0 bgp spine0"

    def test_a_session_that_went_down_before_counts_too(self) -> None:
        assert converged_within([session(1, "down")], since=10, budget=5, end=100).kind is Kind.INVALID

    def test_a_flap_after_the_budget_is_no_convergence(self) -> None:
        events = [session(11, "up"), session(20, "down"), session(21, "up")]
        verdict = converged_within(events, since=10, budget=5, end=100)
        assert verdict.message == "11.00 s, 5.00 s allowed; changed after that: rack0-tor0 bgp spine0"

    def test_silence_proves_nothing(self) -> None:
        assert converged_within([], since=0, budget=5, end=100).kind is Kind.UNKNOWN

    @unhurried
    @given(st.lists(st.tuples(st.floats(0, 50), st.sampled_from("abc"), st.booleans()), min_size=1))
    def test_it_is_valid_exactly_when_all_are_up_and_nothing_changes_after_the_budget(
        self, changes: list[tuple[float, str, bool]]
    ) -> None:
        changes.sort(key=lambda change: change[0])
        events = [session(time, "up" if up else "down", peer) for time, peer, up in changes]
        last = {peer: up for _, peer, up in changes}
        good = all(last.values()) and not any(time - 10 > 20 for time, _, _ in changes)
        verdict = converged_within(reversed(events), since=10, budget=20, end=100)
        # events of the same moment have no order
        if len({time for time, _, _ in changes}) == len(changes):
            assert verdict.kind is (Kind.VALID if good else Kind.INVALID)


class TestNoDuplicate:
    def test_what_came_twice_is_told(self) -> None:
        verdict = no_duplicate([1, 2, 3, 2])
        assert (verdict.kind, verdict.message) == (Kind.INVALID, "2 came 2 times")

    def test_nothing_proves_nothing(self) -> None:
        assert no_duplicate([]).kind is Kind.UNKNOWN

    @unhurried
    @given(st.lists(st.integers(0, 50), min_size=1))
    def test_it_is_valid_exactly_when_all_differ(self, received: list[int]) -> None:
        verdict = no_duplicate(received)
        assert verdict.kind is (Kind.VALID if len(set(received)) == len(received) else Kind.INVALID)
        assert verdict.figures["duplicates"] == len(received) - len(set(received))


class TestNoChurn:
    def test_a_change_is_told_with_both_states(self) -> None:
        verdict = no_churn([{"Pod a": "1"}, {"Pod a": "2", "Pod b": "1"}])
        assert verdict.kind is Kind.INVALID
        assert verdict.message == "2 changes, 0 allowed: Pod a: 1 → 2; Pod b: absent → 1"

    def test_one_snapshot_proves_nothing(self) -> None:
        assert no_churn([{"a": "1"}]).kind is Kind.UNKNOWN
        assert no_churn([{}, {}]).kind is Kind.UNKNOWN

    @unhurried
    @given(st.lists(STATES, min_size=2), st.integers(0, 5))
    def test_it_is_valid_exactly_when_few_enough_change(self, snapshots: list[Mapping[str, str]], most: int) -> None:
        count = sum(before.get(name) != after.get(name) for before, after in pairwise(snapshots) for name in "abcdef")
        verdict = no_churn(snapshots, most=most)
        assert verdict.figures["changes"] == count
        good = Kind.VALID if any(snapshots) else Kind.UNKNOWN
        assert verdict.kind is (good if count <= most else Kind.INVALID)


class TestNoUnexpectedRestart:
    def test_who_restarted_who_is_gone_and_who_did_not_restart_is_told(self) -> None:
        before = {"a": "1", "b": "1", "c": "1"}
        verdict = no_unexpected_restart(before, {"a": "2", "c": "1"}, expected=["c"])
        assert verdict.message == "a restarted; b is gone; c did not restart"

    def test_what_was_to_restart_and_never_came_back_is_gone(self) -> None:
        assert no_unexpected_restart({"a": "1"}, {}, expected=["a"]).message == "a is gone"

    def test_of_what_was_not_watched_nothing_is_known(self) -> None:
        verdict = no_unexpected_restart({"a": "1"}, {"a": "1"}, expected=["b"])
        assert (verdict.kind, verdict.message) == (Kind.UNKNOWN, "b was not watched")

    def test_nothing_watched_proves_nothing(self) -> None:
        assert no_unexpected_restart({}, {"a": "1"}).kind is Kind.UNKNOWN

    @unhurried
    @given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3).map(str), min_size=1), st.data())
    def test_it_is_valid_exactly_when_those_that_were_expected_did(
        self, before: dict[str, str], data: st.DataObject
    ) -> None:
        restarted = data.draw(st.sets(st.sampled_from(sorted(before))))
        expected = data.draw(st.sets(st.sampled_from(sorted(before))))
        after = {name: f"{life}'" if name in restarted else life for name, life in before.items()}
        verdict = no_unexpected_restart(before, after, expected=expected)
        assert verdict.kind is (Kind.VALID if restarted == expected else Kind.INVALID)


class TestLogPatterns:
    def test_what_is_forbidden_and_what_is_missing_is_told(self) -> None:
        verdict = log_patterns(["all well", "error: 7"], forbidden=[r"error: \d"], required=["well", "started"])
        assert verdict.message == r"line 2 has 'error: \\d': error: 7; no line has 'started'"

    def test_no_line_proves_nothing(self) -> None:
        assert log_patterns([], forbidden=["error"]).kind is Kind.UNKNOWN
        assert log_patterns([], required=["started"]).kind is Kind.INVALID

    @pytest.mark.parametrize("forbidden", ["b", "c"])
    @unhurried
    @given(st.lists(st.text(alphabet="abc \n"), min_size=1))
    def test_it_is_valid_exactly_when_no_line_has_it(self, forbidden: str, lines: list[str]) -> None:
        verdict = log_patterns(lines, forbidden=[forbidden])
        assert verdict.kind is (Kind.INVALID if any(forbidden in line for line in lines) else Kind.VALID)
