"""Selectors as people write them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vdc.errors import InputError
from vdc.faults.picking import Among, among_of, pick
from vdc.model.topology import Topology

SERVERS = ("rack0-cs0", "rack1-cs0", "rack2-cs0")


@pytest.mark.parametrize(
    ("text", "among", "found"),
    [
        ("all", "servers", SERVERS),
        ("rack(1)", "servers", ("rack1-cs0",)),
        ("rack(1)", "routers", ("rack1-tor0", "rack1-tor1")),
        ("rack(1)", "devices", ("rack1-tor0", "rack1-tor1", "rack1-cs0")),
        ("role(cs)", "servers", SERVERS),
        ("tier(spine)", "routers", ("spine0", "spine1")),
        ("tier(spine)", "devices", ("spine0", "spine1")),
        ("spine1", "routers", ("spine1",)),
        ("leader", "servers", ("rack1-cs0",)),
    ],
)
def test_a_set_is_what_it_says(small: Topology, text: str, among: Among, found: tuple[str, ...]) -> None:
    assert pick(text, small, Random(1), among=among, leader=lambda: "rack1-cs0") == found


@pytest.mark.parametrize(("text", "count"), [("one", 1), ("minority", 1), ("majority", 2), ("minority(all)", 1)])
def test_a_draw_has_its_size(small: Topology, text: str, count: int) -> None:
    draws = {pick(text, small, Random(seed)) for seed in range(50)}
    assert {len(draw) for draw in draws} == {count}
    assert len(draws) == 3, "in 50 draws each of the three must have come up"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers())
def test_the_same_seed_draws_the_same(small: Topology, seed: int) -> None:
    first = pick("any", small, Random(seed))
    assert first == pick("any", small, Random(seed))
    assert 1 <= len(first) <= 3
    assert set(first) <= set(SERVERS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rack(9)", "no such server"),
        ("role(ss)", "no such server"),
        ("tier(spine)", "no such server"),
        ("nobody", "no such server"),
        ("minority(rack(0))", "of 1 there is no minority"),
        ("one two", "is no selector"),
        ("leader", "no cluster"),
    ],
)
def test_what_means_nothing_is_refused(small: Topology, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        pick(text, small, Random(1))


def test_a_field_says_by_its_name_what_it_takes() -> None:
    assert [among_of(name) for name in ("router", "routers", "device", "server", "servers")] == [
        "routers",
        "routers",
        "devices",
        "servers",
        "servers",
    ]
