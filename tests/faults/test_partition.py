"""Partitions: pure shapes with their properties, and the fault that puts one in effect."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.errors import HealError, InputError, WaitTimeout
from vdc.faults import Partitioned, injected, partition
from vdc.faults.partition import addresses_of
from vdc.faults.shapes import SHAPES, Blocked, blocked, parties
from vdc.host.drops import Sender, ruleset
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter, Lie
from vdc.wait import NotYet

MakeDataCenter = Callable[..., FakeDataCenter]

counts = st.integers(min_value=4, max_value=40)
seeds = st.integers(min_value=0, max_value=1000)
CASES = [(shape, of) for shape in sorted(set(SHAPES) - {"majority-ring"}) for of in ("racks", "servers")]


def seen(cut: Blocked, count: int, who: int) -> frozenset[int]:
    """Those that a party reaches, itself among them."""
    return frozenset(other for other in range(count) if (who, other) not in cut)


@settings(deadline=None)
@given(shape=st.sampled_from(sorted(SHAPES)), count=counts, seed=seeds)
def test_a_shape_cuts_some_from_others_and_nobody_from_itself(shape: str, count: int, seed: int) -> None:
    cut = blocked(shape, count, Random(seed))
    assert cut
    assert len(set(cut)) == len(cut)
    assert all(0 <= a < count and 0 <= b < count and a != b for a, b in cut)
    assert cut == blocked(shape, count, Random(seed)), "the same seed must give the same"
    back = {(b, a) for a, b in cut}
    assert not back & set(cut) if shape == "asymmetric" else back == set(cut)


@settings(deadline=None)
@given(count=counts, seed=seeds)
def test_each_of_a_majority_ring_sees_a_majority_and_no_two_the_same(count: int, seed: int) -> None:
    cut = blocked("majority-ring", count, Random(seed))
    views = [seen(cut, count, who) for who in range(count)]
    assert all(2 * len(view) > count for view in views)
    assert len(set(views)) == count


@settings(deadline=None)
@given(count=counts, seed=seeds)
def test_a_bridge_is_the_only_one_that_sees_all(count: int, seed: int) -> None:
    cut = blocked("bridge", count, Random(seed))
    assert sum(len(seen(cut, count, who)) == count for who in range(count)) == 1


@settings(deadline=None)
@given(shape=st.sampled_from(["halves", "isolate-one", "minority"]), count=counts, seed=seeds)
def test_two_sides_see_themselves_and_nobody_else(shape: str, count: int, seed: int) -> None:
    cut = blocked(shape, count, Random(seed))
    sides = {seen(cut, count, who) for who in range(count)}
    assert len(sides) == 2
    small, large = sorted(map(len, sides))
    assert small + large == count
    assert small == {"halves": count // 2, "isolate-one": 1, "minority": (count - 1) // 2}[shape]


def test_what_cannot_be_parted_so_is_refused(small: Topology) -> None:
    with pytest.raises(InputError, match="majority-ring takes at least 4 parties, and there are 3"):
        partition(small, "majority-ring", "racks", Random(1))
    with pytest.raises(InputError, match="there are halves"):
        partition(small, "thirds", "racks", Random(1))
    with pytest.raises(InputError, match="there are racks, tiers, roles, servers"):
        parties(small, "cables")
    with pytest.raises(InputError, match="there are 1"):
        partition(small, "halves", "roles", Random(1))


def test_parties_are_racks_tiers_roles_or_servers(small: Topology) -> None:
    assert parties(small, "racks")[1] == ("rack1-tor0", "rack1-tor1", "rack1-cs0")
    assert parties(small, "tiers")[1] == ("spine0", "spine1")
    assert parties(small, "roles") == (("rack0-cs0", "rack1-cs0", "rack2-cs0"),)
    assert parties(small, "servers") == (("rack0-cs0",), ("rack1-cs0",), ("rack2-cs0",))


@pytest.mark.parametrize(("shape", "of"), CASES)
def test_a_partition_is_there_in_the_body_and_gone_after_it(make_dc: MakeDataCenter, shape: str, of: str) -> None:
    dc = make_dc()
    fault = partition(dc.topology, shape, of, Random(3))
    with injected(dc, fault):
        fault.bites(dc)
        assert any(dc.world.lost.values())
    assert not any(dc.world.lost.values())
    assert fault.name.startswith(f"partition {shape}: rack0-")


@pytest.mark.parametrize(("shape", "of"), CASES)
def test_one_that_parts_nobody_does_not_bite(make_dc: MakeDataCenter, shape: str, of: str) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(WaitTimeout, match="still hears"), injected(dc, partition(dc.topology, shape, of, Random(3))):
        raise AssertionError("the body ran")


@pytest.mark.parametrize(("shape", "of"), CASES)
def test_one_that_stays_makes_the_data_centre_dirty(make_dc: MakeDataCenter, shape: str, of: str) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError), injected(dc, partition(dc.topology, shape, of, Random(3))):
        pass
    assert dc.dirty() is not None


@pytest.mark.parametrize("shape", ["halves", "bridge", "asymmetric"])
def test_each_direction_between_two_parties_is_proven_for_itself(make_dc: MakeDataCenter, shape: str) -> None:
    dc = make_dc()
    fault = partition(dc.topology, shape, "servers", Random(3))
    names = [name for (name,) in fault.parties]
    fault.inject(dc)
    fault.bites(dc)
    for a, b in permutations(range(len(names)), 2):
        own = dc.world.lost.get((fault.key, names[a]), frozenset())
        theirs = frozenset(addresses_of(dc.topology, names[b]))
        if (a, b) in fault.cut:
            dc.world.lose(fault.key, names[a], own - theirs)
            why = f"{names[b]} still hears {names[a]}"
        else:
            dc.world.lose(fault.key, names[a], own | theirs)
            why = f"{names[b]} does not hear {names[a]}"
        with pytest.raises(NotYet) as caught:
            fault.bites(dc)
        assert str(caught.value) == why
        dc.world.lose(fault.key, names[a], own)
    fault.bites(dc)


def test_one_direction_that_stays_cut_is_not_healed(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    fault = partition(dc.topology, "halves", "racks", Random(3))
    fault.healed(dc)
    dc.world.lose("other", "rack0-tor0", addresses_of(dc.topology, "rack1-tor0"))
    with pytest.raises(NotYet, match="rack1-tor0 does not hear rack0-tor0"):
        fault.healed(dc)


def test_one_without_a_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody is cut off"):
        Partitioned("halves", (("a",), ("b",)), ())


def test_rules_are_at_the_taps_of_servers_and_in_the_namespaces_of_routers(small: Topology) -> None:
    lost = (small.server("rack1-cs0").node.ip,)
    server = ruleset([Sender(netns="vdc-x", lost=lost, taps=("rack0-cs0-0", "rack0-cs0-1"))], "ab")
    assert server.startswith("table netdev vdc-drop-ab {\n")
    assert server.count('hook ingress device "rack0-cs0-') == 2
    assert server.count(f"ip daddr {{ {lost[0]} }} drop") == 2
    router = ruleset([Sender(netns="vdc-x.spine0", lost=lost)], "ab")
    assert router.startswith("table inet vdc-drop-ab {\n")
    assert "type filter hook output priority -300" in router
