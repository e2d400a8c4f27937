"""Shrinking: what is left fails, and nothing of it can be left out; asked as little as can be."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.faults.schedule import Planned, Schedule
from vdc.faults.shrinking import SHORTEST, minimal, remembering, smallest

sizes = st.integers(min_value=1, max_value=24)


@st.composite
def causes(draw: st.DrawFn) -> tuple[int, frozenset[frozenset[int]]]:
    """How many items, and sets of them: together, any of these sets fails."""
    count = draw(sizes)
    sets = st.frozensets(st.integers(min_value=0, max_value=count - 1), min_size=1, max_size=4)
    return count, draw(st.frozensets(sets, min_size=1, max_size=3))


def failing(sets: frozenset[frozenset[int]]) -> Callable[[tuple[int, ...]], bool]:
    return lambda items: any(each <= set(items) for each in sets)


@settings(deadline=None)
@given(case=causes())
def test_what_is_left_fails_and_does_not_without_any_of_it(case: tuple[int, frozenset[frozenset[int]]]) -> None:
    count, sets = case
    fails = failing(sets)
    left = minimal(tuple(range(count)), fails)
    assert fails(left)
    assert list(left) == sorted(left)
    assert len(left) == 1 or not any(fails(left[:place] + left[place + 1 :]) for place in range(len(left)))


@settings(deadline=None)
@given(count=st.integers(min_value=2, max_value=64), data=st.data())
def test_a_pair_among_many_is_found_in_few_questions(count: int, data: st.DataObject) -> None:
    pair = data.draw(st.frozensets(st.integers(min_value=0, max_value=count - 1), min_size=2, max_size=2))
    asked: list[tuple[int, ...]] = []
    fails = failing(frozenset({pair}))

    def ask(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return fails(items)

    assert set(minimal(tuple(range(count)), remembering(ask))) == pair
    assert len(asked) == len(set(asked))
    assert len(asked) <= 8 * count.bit_length() + 2


def planned(name: str, at: float = 0.0, seconds: float = 8.0) -> Planned:
    return Planned(kind="routers-off", exactly={"routers": [name]}, at=at, seconds=seconds)


def names(schedule: Schedule) -> set[str]:
    return {(each.exactly or {})["routers"][0] for each in schedule}


def test_faults_become_shorter_and_earlier_as_far_as_it_still_fails() -> None:
    schedule = tuple(planned(name, at=10.0 + number) for number, name in enumerate("abcdef"))

    def fails(some: Schedule) -> bool:
        left = {name: each for each in some for name in names((each,))}
        return {"b", "e"} <= set(left) and left["b"].at + left["b"].seconds > left["e"].at

    found = smallest(schedule, fails)
    assert names(found) == {"b", "e"}
    assert [each.at for each in found] == [0.0, 3.0]
    assert [each.seconds for each in found] == [4.0, SHORTEST]


@settings(deadline=None)
@given(
    lengths=st.lists(st.floats(min_value=1, max_value=60), min_size=1, max_size=6),
    needed=st.floats(min_value=0.5, max_value=60),
)
def test_the_smallest_fails_and_no_fault_of_it_may_be_left_out_or_halved(lengths: list[float], needed: float) -> None:
    schedule = tuple(planned(f"r{number}", at=float(number), seconds=each) for number, each in enumerate(lengths))

    def fails(some: Schedule) -> bool:
        return sum(each.seconds for each in some) >= needed

    if not fails(schedule):
        return
    found = smallest(schedule, fails)
    assert fails(found)
    for place in range(len(found)):
        assert len(found) == 1 or not fails(found[:place] + found[place + 1 :])
    assert min(each.at for each in found) == 0.0
