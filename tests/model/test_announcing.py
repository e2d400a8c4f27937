"""What routers announce beside what they should."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.model.announcing import Change, altered, from_comments, own, to_comments, together
from vdc.model.expand import expand
from vdc.model.ip import Prefix
from vdc.model.load import load
from vdc.model.routing import expected_routes
from vdc.model.topology import Topology

PREFIXES = st.one_of(
    st.builds(lambda number: IPv4Network((number, 32)), st.integers(0, 2**32 - 1)),
    st.builds(lambda number: IPv6Network((number << 64, 64)), st.integers(0, 2**64 - 1)),
)
LISTS = st.lists(PREFIXES, max_size=4, unique=True).map(tuple)
CHANGES = st.builds(lambda more, less: Change(more=more, less=less), LISTS, LISTS)
KEYS = st.text("0123456789abcdef", min_size=1, max_size=7)


@settings(deadline=None)
@given(st.dictionaries(KEYS, CHANGES.filter(bool), max_size=4), st.text("router id;\n#", max_size=40))
def test_comments_tell_what_was_changed(changes: dict[str, Change], rest: str) -> None:
    assert from_comments(f"{to_comments(changes)}{rest}") == changes


@settings(deadline=None)
@given(st.lists(CHANGES, max_size=4))
def test_what_one_withholds_nobody_announces(changes: list[Change]) -> None:
    both = together(changes)
    assert not set(both.more) & set(both.less)
    assert set(both.less) == {prefix for each in changes for prefix in each.less}
    assert set(both.more) <= {prefix for each in changes for prefix in each.more}
    assert len(both.more) == len(set(both.more))


@pytest.fixture(scope="module")
def small() -> Topology:
    return expand(load(Path(__file__).parents[2] / "topologies" / "small.yml"))


def test_nothing_changes_without_a_change(small: Topology) -> None:
    assert altered(small, {}) == small
    assert altered(small, {"spine0": Change()}) == small


def test_who_is_nearer_to_a_router_that_announces_something_believes_it(small: Topology) -> None:
    server: Prefix = small.server("rack0-cs0").node.network
    routes = expected_routes(altered(small, {"rack1-tor0": Change(more=(server,))}))
    right = expected_routes(small)
    assert routes["spine0"][server] == {small.router("spine0").sessions[3].peer}
    assert routes["rack0-tor0"][server] == right["rack0-tor0"][server], "its own server is nearer"
    assert server not in routes["rack1-tor0"]


def test_what_a_router_withholds_nobody_has(small: Topology) -> None:
    (outside,) = small.router("border0").originates
    routes = expected_routes(altered(small, {"border0": Change(less=(outside,))}))
    assert all(outside not in table for table in routes.values())
    assert outside in own(small.router("border0"))
