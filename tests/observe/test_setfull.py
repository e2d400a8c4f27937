from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from vdc.observe.ops import Operation, Outcome
from vdc.observe.setfull import SetRead, set_full
from vdc.observe.verdict import Kind

from .samples import operation, unhurried


def add(value: str, start: float, *, outcome: Outcome = Outcome.OK) -> Operation:
    return operation("write", value, start, start + 1, outcome=outcome, key=value)


def read(start: float, *elements: str) -> SetRead:
    return SetRead(start=start, end=start + 1, elements=frozenset(elements), member="m")


def judged(adds: Sequence[Operation], reads: Sequence[SetRead], *, stale_for: float = 0.0) -> tuple[Kind, str]:
    verdict = set_full(adds, reads, stale_for=stale_for)
    return verdict.kind, verdict.message


def test_elements_that_stay_are_all_there() -> None:
    assert judged([add("a", 0), add("b", 2)], [read(2, "a"), read(5, "a", "b")]) == (
        Kind.VALID,
        "2 elements are in all 2 reads after them",
    )


def test_an_acknowledged_element_that_goes_is_lost() -> None:
    kind, message = judged([add("a", 0)], [read(2, "a"), read(4), read(6)])
    assert (kind, message) == (Kind.INVALID, "a: known since 1.000, lost by 6.000")


def test_an_element_of_unknown_outcome_may_be_absent_but_once_seen_it_stays() -> None:
    maybe = add("a", 0, outcome=Outcome.UNKNOWN)
    assert judged([maybe, add("b", 0)], [read(2, "b")])[0] is Kind.VALID
    assert judged([maybe, add("b", 0)], [read(2, "a", "b"), read(4, "b")])[0] is Kind.INVALID


def test_an_element_that_shows_late_is_stale() -> None:
    history = [add("a", 0)], [read(2), read(4, "a")]
    assert judged(*history) == (Kind.INVALID, "a: not read 1.000 s after it was known")
    assert judged(*history, stale_for=1.0)[0] is Kind.VALID


def test_an_element_that_nobody_added_is_told() -> None:
    kind, message = judged([add("a", 0, outcome=Outcome.FAILED)], [read(2, "a")])
    assert (kind, message) == (Kind.INVALID, "a: never sent, yet it was read")


def test_a_read_beside_the_add_may_miss_it() -> None:
    assert judged([add("a", 0)], [read(0.5), read(3, "a")])[0] is Kind.VALID


def test_no_read_after_the_last_element_proves_nothing() -> None:
    assert judged([add("a", 0)], []) == (Kind.UNKNOWN, "1 of 1 elements were known after the last of 0 reads")
    assert judged([], [read(0)])[0] is Kind.UNKNOWN
    assert judged([add("a", 5)], [read(0)])[0] is Kind.UNKNOWN


@unhurried
@given(st.integers(1, 30), st.lists(st.floats(0, 100), min_size=1, max_size=20), st.data())
def test_a_set_that_keeps_all_passes_and_one_that_loses_one_does_not(
    count: int, moments: list[float], data: st.DataObject
) -> None:
    adds = [add(str(number), number * 3.0) for number in range(count)]
    reads = [read(moment, *(str(n) for n in range(count) if n * 3.0 + 0.5 <= moment)) for moment in [*moments, 200.0]]
    assert set_full(adds, reads).kind is Kind.VALID
    lost = data.draw(st.integers(0, count - 1))
    last = SetRead(start=300, end=301, elements=reads[-1].elements - {str(lost)}, member="m")
    verdict = set_full(adds, [*reads, last])
    assert verdict.kind is Kind.INVALID
    assert verdict.figures["lost"] == 1
