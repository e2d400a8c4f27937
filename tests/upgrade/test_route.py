from __future__ import annotations

from itertools import pairwise

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.upgrade.route import allowed, route, same_kind

MINORS = st.fixed_dictionaries(
    {
        "debian": st.sampled_from(["11", "12", "13"]),
        "etcd": st.sampled_from(["3.3", "3.4", "3.5", "3.6"]),
        "containerd": st.sampled_from(["1.5", "1.6", "1.7", "2.0"]),
        "kubernetes": st.sampled_from(["1.20.2", "1.21.1", "1.22.0", "1.23.0", "1.24.0"]),
    }
)
RELEASES = st.lists(MINORS, min_size=2, max_size=12).map(lambda found: {f"r{i}": each for i, each in enumerate(found)})

CHAIN = {
    "k20": {"etcd": "3.4", "kubernetes": "1.20.2"},
    "k21": {"etcd": "3.4", "kubernetes": "1.21.0"},
    "k21-etcd": {"etcd": "3.5", "kubernetes": "1.21.0"},
    "k22": {"etcd": "3.5", "kubernetes": "1.22.0"},
    "plain": {"etcd": "3.4"},
}


@settings(deadline=None)
@given(RELEASES)
def test_a_route_is_shortest_and_no_hop_of_it_is_forbidden(releases: dict[str, dict[str, str]]) -> None:
    graph = networkx.DiGraph()
    graph.add_nodes_from(releases)
    graph.add_edges_from((a, b) for a in releases for b in releases if a != b and allowed(releases[a], releases[b]))
    found = route("r0", "r1", releases, ())
    if not networkx.has_path(graph, "r0", "r1"):
        assert found is None
        return
    assert found is not None
    assert len(found) == networkx.shortest_path_length(graph, "r0", "r1")
    assert found[0][0] == "r0"
    assert found[-1][1] == "r1"
    assert all(one[1] == two[0] for one, two in pairwise(found))
    assert all(graph.has_edge(*hop) for hop in found)


@settings(deadline=None)
@given(RELEASES, st.data())
def test_which_hops_were_tried_never_makes_a_route_longer(
    releases: dict[str, dict[str, str]], data: st.DataObject
) -> None:
    names = st.sampled_from(sorted(releases))
    tried = data.draw(st.sets(st.tuples(names, names)))
    plain, preferred = route("r0", "r1", releases, ()), route("r0", "r1", releases, tried)
    assert (plain is None) == (preferred is None)
    if plain is not None and preferred is not None:
        assert len(preferred) == len(plain)
        assert sum(hop in tried for hop in preferred) >= sum(hop in tried for hop in plain)


def test_a_route_goes_where_paths_lead() -> None:
    assert route("k20", "k22", CHAIN, ()) == (("k20", "k21"), ("k21", "k22"))
    tried = {("k20", "k21-etcd"), ("k21-etcd", "k22")}
    assert route("k20", "k22", CHAIN, tried) == (("k20", "k21-etcd"), ("k21-etcd", "k22"))


def test_there_is_no_way_back_and_none_to_another_kind_of_cluster() -> None:
    assert route("k22", "k20", CHAIN, ()) is None
    assert route("plain", "k20", CHAIN, ()) is None
    assert not same_kind(CHAIN["plain"], CHAIN["k20"])
    assert route("k20", "k20", CHAIN, ()) == ()


def test_a_release_that_is_not_there_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="k19"):
        route("k19", "k20", CHAIN, ())
