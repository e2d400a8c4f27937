from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from vdc.observe.linearizable import linearizable_register
from vdc.observe.ops import Operation, Outcome
from vdc.observe.verdict import Kind

from .samples import operation, unhurried

VALUES = ("a", "b", "c")


def judged(*operations: Operation) -> Kind:
    return linearizable_register(operations).kind


def test_a_read_sees_the_write_before_it() -> None:
    assert judged(operation("write", "a", 0, 1), operation("read", "a", 2, 3)) is Kind.VALID


def test_a_stale_read_is_told_with_its_time_and_member() -> None:
    verdict = linearizable_register(
        [
            operation("write", "a", 0, 1),
            operation("write", "b", 2, 3),
            operation("read", "a", 4, 5, member="rack1-cs0"),
        ]
    )
    assert verdict.kind is Kind.INVALID
    assert verdict.message == "k: no order explains that 'a' was read through rack1-cs0 at 4.000–5.000"


def test_a_read_during_a_write_may_see_either() -> None:
    for value in ("a", "b"):
        assert (
            judged(operation("write", "a", 0, 1), operation("write", "b", 2, 5), operation("read", value, 3, 4))
            is Kind.VALID
        )


def test_what_was_seen_once_does_not_go_back() -> None:
    history = [
        operation("write", "a", 0, 1),
        operation("write", "b", 2, 9),
        operation("read", "b", 3, 4),
        operation("read", "a", 5, 6),
    ]
    assert judged(*history) is Kind.INVALID


def test_a_write_of_unknown_outcome_may_happen_later_or_never() -> None:
    unknown = operation("write", "b", 2, 3, outcome=Outcome.UNKNOWN)
    first = operation("write", "a", 0, 1)
    assert judged(first, unknown, operation("read", "a", 4, 5), operation("read", "b", 6, 7)) is Kind.VALID
    assert judged(first, unknown, operation("read", "a", 4, 5)) is Kind.VALID
    assert judged(first, unknown, operation("read", "b", 4, 5), operation("read", "a", 6, 7)) is Kind.INVALID


def test_a_failed_write_never_happened() -> None:
    failed = operation("write", "b", 2, 3, outcome=Outcome.FAILED)
    assert judged(operation("write", "a", 0, 1), failed, operation("read", "b", 4, 5)) is Kind.INVALID


def test_an_absent_key_reads_as_nothing() -> None:
    assert judged(operation("read", None, 0, 1), operation("write", "a", 2, 3)) is Kind.VALID
    assert judged(operation("write", "a", 0, 1), operation("read", None, 2, 3)) is Kind.INVALID


def test_keys_are_judged_one_by_one() -> None:
    history = [operation("write", "a", 0, 1, key="x"), operation("read", "a", 2, 3, key="y")]
    verdict = linearizable_register(history)
    assert verdict.kind is Kind.INVALID
    assert verdict.message.startswith("y: ")


def test_nothing_read_proves_nothing() -> None:
    assert judged() is Kind.UNKNOWN
    assert judged(operation("write", "a", 0, 1)) is Kind.UNKNOWN
    asked = operation("read", None, 2, 3, outcome=Outcome.UNKNOWN)
    assert judged(operation("write", "a", 0, 1), asked) is Kind.UNKNOWN


def test_a_history_with_too_much_side_by_side_is_not_judged() -> None:
    writes = [operation("write", str(number), 0, 100) for number in range(20)]
    verdict = linearizable_register([*writes, operation("read", "x", 200, 201)], most=1000)
    assert verdict.kind is Kind.UNKNOWN
    assert "over 1000 configurations" in verdict.message


@st.composite
def small_histories(draw: st.DrawFn) -> list[Operation]:
    """Up to six operations that overlap at random, of which some may be impossible."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, 12))
        op = draw(st.sampled_from(["write", "read"]))
        value = draw(st.sampled_from([*VALUES, None] if op == "read" else VALUES))
        outcome = draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.UNKNOWN] if op == "write" else [Outcome.OK]))
        found.append(operation(op, value, start, start + draw(st.integers(1, 6)), outcome=outcome))
    return found


def explained(history: list[Operation]) -> bool:
    """The definition, word for word: some order of all that happened agrees with time and with the register."""
    optional = [each for each in history if not each.ok]
    for chosen in range(1 << len(optional)):
        happened = [each for each in history if each.ok] + [
            each for number, each in enumerate(optional) if chosen >> number & 1
        ]
        if any(_agrees(order) for order in permutations(happened)):
            return True
    return False


def _agrees(order: tuple[Operation, ...]) -> bool:
    value: str | None = None
    for place, each in enumerate(order):
        if any(later.ok and later.end < each.start for later in order[place + 1 :]):
            return False
        if each.op == "write":
            value = each.value
        elif each.value != value:
            return False
    return True


@unhurried
@given(small_histories())
def test_it_agrees_with_the_definition(history: list[Operation]) -> None:
    expected = Kind.VALID if explained(history) else Kind.INVALID
    if not any(each.op == "read" for each in history):
        expected = Kind.UNKNOWN
    assert linearizable_register(history).kind is expected


@unhurried
@given(st.integers(0, 2**32), st.integers(2, 5))
def test_a_real_register_passes_and_one_that_forgets_does_not(seed: int, workers: int) -> None:
    history = register(random.Random(seed), workers=workers, count=200)
    assert linearizable_register(history).kind is Kind.VALID
    last = max(history, key=lambda each: each.end)
    stale = operation("read", None, last.end + 1, last.end + 2)
    assert linearizable_register([*history, stale]).kind is Kind.INVALID


def test_the_length_of_a_history_is_no_matter() -> None:
    history = register(random.Random(7), workers=3, count=5000)
    assert linearizable_register(history).kind is Kind.VALID
    middle = next(number for number in range(2500, 5000) if history[number].op == "read")
    history[middle] = replace(history[middle], value="never written")
    assert linearizable_register(history).kind is Kind.INVALID


def register(draw: random.Random, *, workers: int, count: int) -> list[Operation]:
    """The history of a register that acts at a moment within each operation, of clients side by side."""
    free = [0.0] * workers
    acts: list[tuple[float, str, float, float]] = []
    for number in range(count):
        worker = min(range(workers), key=lambda each: free[each])
        start = free[worker] + draw.random()
        end = start + draw.random()
        free[worker] = end
        op = "write" if number == 0 or draw.random() < 0.5 else "read"
        acts.append((draw.uniform(start, end), op, start, end))
    value: str | None = None
    found = []
    for number, (_, op, start, end) in enumerate(sorted(acts)):
        value = str(number) if op == "write" else value
        found.append(operation(op, value, start, end))
    return found
