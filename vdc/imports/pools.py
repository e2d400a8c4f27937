"""Address pools that keep out of the way of prefixes that an import brings along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from vdc.model.ip import Prefix
from vdc.model.spec import Pools6Spec, PoolsSpec

OUT_OF_THE_WAY: Final = "not where it usually is, which is taken"
"""What is told of a pool that has another prefix than by default."""

_SPACES: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Private and shared addresses (RFC 1918, RFC 6598)."""

_SPACE6: Final = IPv6Network("fdff::/16")
"""Unique local addresses (RFC 4193) that no default pool has."""


def moved(taken: Iterable[Prefix], *, chosen: Iterable[str] = ()) -> Mapping[str, str]:
    """Return another prefix for each IPv4 pool whose default overlaps with one of `taken`, but for those `chosen`."""
    return dict(_moved(PoolsSpec(), set(taken), set(chosen)))


def moved6(taken: Iterable[Prefix]) -> Mapping[str, str]:
    """Return another prefix for each IPv6 pool whose default overlaps with one of `taken`."""
    return dict(_moved(Pools6Spec(), set(taken), set()))


def _moved(defaults: PoolsSpec | Pools6Spec, taken: set[Prefix], chosen: set[str]) -> Iterator[tuple[str, str]]:
    pools = {name: value for name, value in defaults if isinstance(value, Prefix) and name not in chosen}
    kept = {name for name, pool in pools.items() if not _overlaps(pool, taken)}
    used = taken | {pools[name] for name in kept}
    for name, pool in pools.items():
        if name not in kept:
            other = free_prefix(pool, used)
            used.add(other)
            yield name, str(other)


def free_prefix(like: Prefix, used: Iterable[Prefix]) -> Prefix:
    """Return a private prefix as long as `like` that overlaps with none of `used`. Raises ValueError: there is none."""
    used = tuple(used)
    spaces = _SPACES if like.version == 4 else (_SPACE6,)
    for space in (space for space in spaces if space.prefixlen <= like.prefixlen):
        found = _first_free(space, like.prefixlen, used)
        if found is not None:
            return found
    raise ValueError(f"no room for a /{like.prefixlen} beside what is used")


def _first_free(space: Prefix, length: int, used: tuple[Prefix, ...]) -> Prefix | None:
    """Return the first free prefix, stepping over each used one as a whole."""
    bits, version = space.max_prefixlen, type(space)
    at, end = int(space.network_address), int(space.broadcast_address)
    step = 1 << (bits - length)
    while at + step - 1 <= end:
        candidate = version((at, length))
        in_the_way = [int(each.broadcast_address) for each in used if _overlap(each, candidate)]
        if not in_the_way:
            return candidate
        at = max(in_the_way) // step * step + step
    return None


def _overlaps(pool: Prefix, others: Iterable[Prefix]) -> bool:
    return any(_overlap(pool, other) for other in others)


def _overlap(one: Prefix, other: Prefix) -> bool:
    return one.version == other.version and one.overlaps(other)
