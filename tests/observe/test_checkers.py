"""The judges against good and bad histories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.observe.checkers import Kind, Verdict, judge, longest_outage, no_write_lost
from vdc.observe.ops import Gap, Operation, Outcome

from .samples import unhurried

MEMBERS = ("a", "b", "c")
PERIOD = 0.05


def write(number: int, start: float, *, took: float = 0.01, outcome: Outcome = Outcome.OK) -> Operation:
    return Operation(
        op="write",
        key=f"k{number}",
        value=f"v{number}",
        start=start,
        end=start + took,
        outcome=outcome,
        member=MEMBERS[number % 3],
    )


def read(
    number: int, start: float, *, value: str | None, took: float = 0.01, outcome: Outcome = Outcome.OK
) -> Operation:
    return replace(write(number, start, took=took, outcome=outcome), op="read", value=value)


def history(*, down: tuple[float, float] = (0.0, 0.0), seconds: float = 10.0) -> list[Operation]:
    """A probe's samples of a cluster that answers at once, but not to what starts while it is `down`."""
    operations: list[Operation] = []
    for tick in range(round(seconds / PERIOD)):
        start = tick * PERIOD
        lost = down[0] <= start < down[1]
        number = tick // 2
        if tick % 2 == 0:
            outcome = Outcome.UNKNOWN if lost else Outcome.OK
            operations.append(write(number, start, took=2.0 if lost else 0.01, outcome=outcome))
        elif lost:
            operations.append(read(0, start, value=None, took=2.0, outcome=Outcome.FAILED))
        else:
            operations.append(read(0, start, value="v0"))
    return operations


def held(operations: Sequence[Operation]) -> dict[str, dict[str, str]]:
    pairs = {o.key: o.value or "" for o in operations if o.op == "write" and o.ok}
    return {member: dict(pairs) for member in MEMBERS}


class TestNoWriteLost:
    def test_a_good_history_is_valid(self) -> None:
        operations = history()
        verdict = no_write_lost(operations, held(operations))
        assert verdict.kind is Kind.VALID
        assert verdict.figures == {"acknowledged": 100.0, "reads": 100.0, "members": 3.0}

    def test_an_acknowledged_write_missing_through_one_member_is_lost(self) -> None:
        operations = history()
        final = held(operations)
        del final["b"]["k7"]
        verdict = no_write_lost(operations, final)
        assert verdict.kind is Kind.INVALID
        assert "k7" in verdict.message
        assert "lost through b" in verdict.message

    def test_a_value_that_changed_is_invalid(self) -> None:
        operations = history()
        final = held(operations)
        final["c"]["k7"] = "something else"
        verdict = no_write_lost(operations, final)
        assert verdict.kind is Kind.INVALID
        assert "'v7' was written, 'something else' is there through c" in verdict.message

    @pytest.mark.parametrize("there", [True, False])
    def test_a_write_of_unknown_outcome_may_be_there_or_not(self, there: bool) -> None:
        operations = [write(0, 0.0), write(1, 1.0, outcome=Outcome.UNKNOWN)]
        final = held(operations)
        if there:
            for pairs in final.values():
                pairs["k1"] = "v1"
        assert no_write_lost(operations, final).kind is Kind.VALID

    def test_a_write_of_unknown_outcome_with_another_value_is_invalid(self) -> None:
        operations = [write(0, 0.0), write(1, 1.0, outcome=Outcome.UNKNOWN)]
        final = held(operations)
        final["a"]["k1"] = "other"
        assert no_write_lost(operations, final).kind is Kind.INVALID

    def test_a_write_that_was_never_sent_must_not_be_there(self) -> None:
        operations = [write(0, 0.0), write(1, 1.0, outcome=Outcome.FAILED)]
        final = held(operations)
        final["a"]["k1"] = "v1"
        assert no_write_lost(operations, final).kind is Kind.INVALID

    def test_a_read_after_the_acknowledgement_that_finds_nothing_is_stale(self) -> None:
        operations = [write(0, 0.0), read(0, 1.0, value=None)]
        verdict = no_write_lost(operations, held(operations))
        assert verdict.kind is Kind.INVALID
        assert "then not there" in verdict.message

    def test_a_read_that_started_before_the_acknowledgement_may_find_nothing(self) -> None:
        operations = [write(0, 0.0, took=1.0), read(0, 0.5, value=None)]
        assert no_write_lost(operations, held(operations)).kind is Kind.VALID

    def test_a_read_that_saw_another_value_is_invalid_even_if_the_final_one_is_right(self) -> None:
        operations = [write(0, 0.0), read(0, 1.0, value="other")]
        assert no_write_lost(operations, held(operations)).kind is Kind.INVALID

    def test_a_failed_read_saw_nothing_and_accuses_nobody(self) -> None:
        operations = [write(0, 0.0), read(0, 1.0, value=None, outcome=Outcome.FAILED)]
        assert no_write_lost(operations, held(operations)).kind is Kind.VALID

    def test_events_written_twice_count_once(self) -> None:
        operations = history()
        verdict = no_write_lost([*operations, *operations], held(operations))
        assert verdict.kind is Kind.VALID
        assert verdict.figures["acknowledged"] == 100.0

    def test_a_key_written_twice_cannot_be_judged(self) -> None:
        operations = [write(0, 0.0), replace(write(0, 1.0), value="again")]
        assert no_write_lost(operations, held(operations)).kind is Kind.UNKNOWN

    def test_no_samples_are_no_proof(self) -> None:
        assert no_write_lost([], {"a": {}}).kind is Kind.UNKNOWN

    def test_writes_that_were_never_acknowledged_are_no_proof(self) -> None:
        assert no_write_lost([write(0, 0.0, outcome=Outcome.UNKNOWN)], {"a": {}}).kind is Kind.UNKNOWN

    def test_without_a_final_read_nothing_is_proven(self) -> None:
        assert no_write_lost(history(), {}).kind is Kind.UNKNOWN

    def test_a_key_that_no_recorded_write_explains_makes_the_history_incomplete(self) -> None:
        operations = history()
        final = held(operations)
        final["a"]["stranger"] = "x"
        assert no_write_lost(operations, final).kind is Kind.UNKNOWN

    @unhurried
    @given(lost=st.integers(0, 99), member=st.sampled_from(MEMBERS))
    def test_any_single_lost_write_is_found(self, lost: int, member: str) -> None:
        operations = history()
        final = held(operations)
        del final[member][f"k{lost}"]
        assert no_write_lost(operations, final).kind is Kind.INVALID


class TestLongestOutage:
    def test_a_good_history_is_valid_with_the_wait_between_samples(self) -> None:
        verdict = longest_outage(history(), budget=0.5)
        assert verdict.kind is Kind.VALID
        assert verdict.figures["outage"] == pytest.approx(0.11)

    def test_an_outage_over_the_budget_is_invalid(self) -> None:
        verdict = longest_outage(history(down=(3.0, 6.0)), budget=2.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["outage"] == pytest.approx(3.1, abs=0.15)

    def test_the_same_outage_within_the_budget_is_valid(self) -> None:
        assert longest_outage(history(down=(3.0, 6.0)), budget=4.0).kind is Kind.VALID

    def test_an_outage_of_reads_alone_is_found(self) -> None:
        operations = [
            o if o.op == "write" or not 3 <= o.start < 6 else replace(o, outcome=Outcome.FAILED, value=None)
            for o in history()
        ]
        verdict = longest_outage(operations, budget=2.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["write_outage"] < 0.2
        assert verdict.figures["read_outage"] > 3.0

    def test_slow_answers_are_an_outage_though_every_one_succeeded(self) -> None:
        operations = [replace(o, end=6.0) if 3 <= o.start < 6 else o for o in history()]
        verdict = longest_outage(operations, budget=2.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["outage"] == pytest.approx(3.1, abs=0.15)

    def test_a_member_that_is_down_is_no_outage_while_the_others_answer(self) -> None:
        operations = [
            replace(o, outcome=Outcome.FAILED) if o.member == "b" and 2 <= o.start < 8 else o for o in history()
        ]
        operations = [replace(o, member="a") if o.op == "read" else o for o in operations]
        verdict = longest_outage(operations, budget=0.5)
        assert verdict.kind is Kind.VALID
        assert verdict.figures["outage"] < 0.5
        assert verdict.figures["outage[b]"] > 5.5
        assert verdict.figures["outage[c]"] < 0.5

    def test_an_outage_that_never_ended_is_measured_to_the_last_answer(self) -> None:
        verdict = longest_outage(history(down=(7.0, 99.0)), budget=2.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["outage"] == pytest.approx(5.0, abs=0.15)

    def test_an_outage_from_the_first_sample_on_is_measured(self) -> None:
        verdict = longest_outage(history(down=(0.0, 4.0)), budget=2.0)
        assert verdict.kind is Kind.INVALID
        assert verdict.figures["outage"] == pytest.approx(4.0, abs=0.15)

    def test_an_outage_is_counted_to_the_end_of_the_stated_window(self) -> None:
        verdict = longest_outage(history(seconds=5.0), budget=2.0, end=9.0)
        assert verdict.kind is not Kind.VALID
        assert verdict.figures["outage"] == pytest.approx(4.0, abs=0.15)

    def test_an_outage_before_the_window_is_not_counted(self) -> None:
        assert longest_outage(history(down=(1.0, 4.0)), budget=2.0, start=5.0).kind is Kind.VALID

    def test_a_hole_without_samples_might_hide_an_outage(self) -> None:
        operations = [o for o in history() if not 3 <= o.start < 6]
        verdict = longest_outage(operations, budget=2.0)
        assert verdict.kind is Kind.UNKNOWN
        assert "starved" in verdict.message

    @pytest.mark.parametrize(("start", "end"), [(-3.0, None), (None, 13.0), (-3.0, 13.0)])
    def test_silence_at_either_end_of_the_window_might_hide_an_outage(
        self, start: float | None, end: float | None
    ) -> None:
        verdict = longest_outage(history(), budget=2.0, start=start, end=end)
        assert verdict.kind is Kind.UNKNOWN
        assert "starved" in verdict.message

    def test_where_any_outage_is_allowed_somebody_must_have_looked_all_the_same(self) -> None:
        assert longest_outage(history(), budget=math.inf, start=0.0, end=20.0).kind is Kind.VALID
        assert longest_outage(history(), budget=math.inf, start=0.0, end=60.0).kind is Kind.UNKNOWN

    def test_a_gap_the_probe_noted_might_hide_an_outage(self) -> None:
        verdict = longest_outage(history(), budget=2.0, gaps=[Gap(end=9.0, seconds=2.5)])
        assert verdict.kind is Kind.UNKNOWN

    def test_an_outage_over_the_budget_without_the_starved_part_is_invalid_all_the_same(self) -> None:
        verdict = longest_outage(history(down=(3.0, 8.0)), budget=2.0, gaps=[Gap(end=4.5, seconds=1.0)])
        assert verdict.kind is Kind.INVALID

    def test_an_outage_that_is_over_the_budget_only_with_the_starved_part_is_inconclusive(self) -> None:
        verdict = longest_outage(history(down=(3.0, 6.0)), budget=2.5, gaps=[Gap(end=4.5, seconds=1.0)])
        assert verdict.kind is Kind.UNKNOWN

    def test_a_service_that_never_answered_is_invalid_whatever_the_budget(self) -> None:
        assert longest_outage(history(down=(0.0, 99.0)), budget=1e9).kind is Kind.INVALID

    @pytest.mark.parametrize("missing", ["write", "read"])
    def test_without_samples_of_either_kind_nothing_is_known(self, missing: str) -> None:
        operations = [o for o in history() if o.op != missing]
        verdict = longest_outage(operations, budget=2.0)
        assert verdict.kind is Kind.UNKNOWN
        assert missing in verdict.message

    def test_events_written_twice_change_nothing(self) -> None:
        operations = history(down=(3.0, 6.0))
        once = longest_outage(operations, budget=2.0)
        assert longest_outage([*operations, *reversed(operations)], budget=2.0) == once

    @unhurried
    @given(begin=st.floats(1.0, 5.0), length=st.floats(0.2, 4.0))
    def test_the_figure_is_never_smaller_than_the_truth_nor_much_larger(self, begin: float, length: float) -> None:
        figure = longest_outage(history(down=(begin, begin + length)), budget=99.0).figures["outage"]
        assert length - 4 * PERIOD <= figure <= length + 6 * PERIOD

    @unhurried
    @given(
        marks=st.lists(st.tuples(st.booleans(), st.floats(0.0, 3.0), st.sampled_from(MEMBERS)), min_size=2, max_size=60)
    )
    def test_no_two_acknowledgements_are_further_apart_than_the_figure(
        self, marks: list[tuple[bool, float, str]]
    ) -> None:
        writes = [
            replace(write(n, n * PERIOD, took=took, outcome=Outcome.OK if ok else Outcome.UNKNOWN), member=member)
            for n, (ok, took, member) in enumerate(marks)
        ]
        operations = [*writes, read(0, 0.0, value=None)]
        good = [o for o in writes if o.ok]
        # After the last sample started, only stragglers come in: nobody asks any more.
        asked = max((o.start for o in good), default=0.0)
        ends = sorted(o.end for o in good)
        apart = max((b - a for a, b in pairwise(ends) if a < asked), default=0.0)
        assert longest_outage(operations, budget=99.0).figures["write_outage"] >= apart - 1e-9


class TestJudge:
    def test_valid_verdicts_pass(self) -> None:
        judge(Verdict(kind=Kind.VALID, checker="x", message="fine"))

    @pytest.mark.parametrize("kind", [Kind.INVALID, Kind.UNKNOWN])
    def test_all_messages_of_what_is_not_valid_are_shown(self, kind: Kind) -> None:
        with pytest.raises(AssertionError, match=r"x: .*: one\ny: .*: two"):
            judge(
                Verdict(kind=kind, checker="x", message="one"),
                Verdict(kind=Kind.VALID, checker="z", message="fine"),
                Verdict(kind=kind, checker="y", message="two"),
            )

    def test_no_verdict_is_no_proof(self) -> None:
        with pytest.raises(AssertionError, match="nothing was judged"):
            judge()
