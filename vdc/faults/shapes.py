"""Partitions as pure data: parties, and which of them no longer reaches which.

A party is a group of devices: what stands in a rack, the routers of a tier, the servers of a role, or one server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations, product
from random import Random
from types import MappingProxyType
from typing import Final

from vdc.errors import InputError
from vdc.model.topology import Topology

Parties = tuple[tuple[str, ...], ...]
Blocked = tuple[tuple[int, int], ...]
"""Pairs of parties, by their places: packets of the first to the second are lost."""


def parties(topology: Topology, of: str) -> Parties:
    """Return the parties of a topology: its `racks`, `tiers`, `roles` or `servers`. Raises InputError."""
    if of not in _GROUPS:
        raise InputError(f"no parties are called {of!r}", hint=f"there are {', '.join(_GROUPS)}")
    groups: dict[object, list[str]] = {}
    for name, group in _GROUPS[of](topology):
        groups.setdefault(group, []).append(name)
    return tuple(map(tuple, groups.values()))


def blocked(shape: str, count: int, dice: Random) -> Blocked:
    """Return who no longer reaches whom among `count` parties, shuffled by `dice`.

    Raises InputError: there is no such shape, or it takes more parties.
    """
    if shape not in SHAPES:
        raise InputError(f"no partition is called {shape!r}", hint=f"there are {', '.join(SHAPES)}")
    least, make = SHAPES[shape]
    if count < least:
        raise InputError(f"{shape} takes at least {least} parties, and there are {count}")
    order = list(range(count))
    dice.shuffle(order)
    return tuple(sorted((order[a], order[b]) for a, b in make(count)))


def _halves(count: int) -> set[tuple[int, int]]:
    return _apart(range(count // 2), range(count // 2, count))


def _isolate_one(count: int) -> set[tuple[int, int]]:
    return _apart([0], range(1, count))


def _minority(count: int) -> set[tuple[int, int]]:
    fewer = (count - 1) // 2
    return _apart(range(fewer), range(fewer, count))


def _majority_ring(count: int) -> set[tuple[int, int]]:
    """Each sees a majority, itself among it, and no two see the same."""
    reach = -(-(count // 2) // 2)  # to either side, so that it sees 2 x reach + 1 > count / 2
    return {(a, b) for a, b in permutations(range(count), 2) if min((a - b) % count, (b - a) % count) > reach}


def _bridge(count: int) -> set[tuple[int, int]]:
    """Two halves, and one between them that sees all."""
    middle = count // 2
    return _apart(range(middle), range(middle + 1, count))


def _asymmetric(count: int) -> set[tuple[int, int]]:
    """The second half still reaches the first, which does not reach it."""
    return set(product(range(count // 2), range(count // 2, count)))


def _apart(some: Sequence[int], others: Sequence[int]) -> set[tuple[int, int]]:
    return set(product(some, others)) | set(product(others, some))


SHAPES: Final[Mapping[str, tuple[int, Callable[[int], set[tuple[int, int]]]]]] = MappingProxyType(
    {
        "halves": (2, _halves),
        "isolate-one": (2, _isolate_one),
        "minority": (3, _minority),
        "majority-ring": (4, _majority_ring),
        "bridge": (3, _bridge),
        "asymmetric": (2, _asymmetric),
    }
)
"""The fewest parties that each takes, and who is apart from whom, by places in some order."""

_GROUPS: Final[Mapping[str, Callable[[Topology], list[tuple[str, object]]]]] = MappingProxyType(
    {
        "racks": lambda topology: [
            *((each.name, each.rack) for each in topology.routers if each.rack is not None),
            *((each.name, each.rack) for each in topology.members),
        ],
        "tiers": lambda topology: [(each.name, each.tier) for each in topology.routers],
        "roles": lambda topology: [(each.name, each.role) for each in topology.members],
        "servers": lambda topology: [(each.name, each.name) for each in topology.members],
    }
)
