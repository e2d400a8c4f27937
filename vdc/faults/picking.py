"""Selectors as people write them: `one(rack(1))`, `minority`, `leader` … Pure, and the same for the same seed.

| a set | is |
|---|---|
| `all` | every server; where routers are meant, every router |
| `rack(N)` | what stands in a rack: its servers, or its ToRs |
| `role(NAME)`, `tier(NAME)` | the servers of a role, the routers of a tier |
| `leader` | the server whose member of the cluster leads |
| a name | the device |

| a draw | is, of a set (by default of `all`) |
|---|---|
| `one` | one of it |
| `any` | one or more of it |
| `minority` | the most that are fewer than half |
| `majority` | the fewest that are more than half |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Final, Literal

from vdc.errors import InputError
from vdc.model.topology import Tier, Topology

Among = Literal["servers", "routers", "devices"]
"""What a field takes."""

SEEDS: Final = 1 << 32
"""Where nobody names a seed it is one of so many."""

_CALL: Final = re.compile(r"([\w-]+)(?:\((.*)\))?")

_DRAWS: Final[Mapping[str, Callable[[int, Random], int]]] = MappingProxyType(
    {
        "one": lambda *_: 1,
        "any": lambda count, dice: dice.randint(1, count),
        "minority": lambda count, _: (count - 1) // 2,
        "majority": lambda count, _: count // 2 + 1,
    }
)
"""How many of so many are drawn."""


def pick(
    text: str, topology: Topology, dice: Random, *, among: Among = "servers", leader: Callable[[], str] | None = None
) -> tuple[str, ...]:
    """Return the devices that a selector means, in the order of the topology. `leader` tells who leads.

    Raises InputError: it is no selector, names no device, or there are too few to draw from.
    """
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no selector", hint=_HINT)
    word, argument = match[1], match[2]
    if word in _DRAWS:
        found = pick(argument or "all", topology, dice, among=among, leader=leader)
        count = _DRAWS[word](len(found), dice)
        if count == 0:
            raise InputError(f"{text}: of {len(found)} there is no {word}")
        drawn = dice.sample(found, count)
        return tuple(name for name in found if name in drawn)
    if word == "leader" and argument is None:
        if leader is None:
            raise InputError("there is no cluster, and so no leader")
        return (leader(),)
    found = tuple(_named(word, argument, topology, among))
    if not found:
        raise InputError(f"{text}: there is no such {among.removesuffix('s')}", hint=_HINT)
    return found


def among_of(field: str) -> Among:
    """Return what a field of a fault takes, by its name."""
    return "routers" if field.startswith("router") else "devices" if field in {"device", "peer"} else "servers"


_HINT: Final = "a name, or all, rack(N), role(NAME), tier(NAME), leader, or one(…), any(…), minority(…), majority(…)"


def _named(word: str, argument: str | None, topology: Topology, among: Among) -> Iterator[str]:
    match word, argument:
        case "all", None:
            yield from _all(topology, among)
        case "rack", str(number) if number.isdecimal():
            racks = {each.name: each.rack for each in topology.routers}
            racks |= {each.name: each.rack for each in topology.servers}
            yield from (name for name in _all(topology, among) if racks[name] == int(number))
        case "role", str(role):
            yield from (each.name for each in topology.members if each.role == role and among != "routers")
        case "tier", str(tier) if tier in set(Tier):
            yield from (each.name for each in topology.tier(Tier(tier)) if among != "servers")
        case name, None:
            known = [*(each.name for each in topology.routers), *(each.name for each in topology.servers)]
            yield from (each for each in known if each == name)


def _all(topology: Topology, among: Among) -> Sequence[str]:
    routers = [each.name for each in topology.routers] if among != "servers" else []
    servers = [each.name for each in topology.members] if among != "routers" else []
    return [*routers, *servers]
