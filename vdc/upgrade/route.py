"""Routes: by way of which releases one becomes another where no single upgrade may do it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush
from itertools import pairwise
from typing import Final

from vdc.model.release import FIRMWARE
from vdc.upgrade.rules import Versions, forbidden

Hop = tuple[str, str]
"""The release that an upgrade begins with, and the one it leads to."""

_KINDS: Final = (frozenset({"kubernetes"}), frozenset({"etcd"}), FIRMWARE)
"""Components that decide what a release is for: an upgrade neither brings nor takes away the only one of such."""


def route(origin: str, target: str, releases: Mapping[str, Versions], tried: Collection[Hop]) -> tuple[Hop, ...] | None:
    """Return a shortest way by upgrades that no rule forbids; of those the one with the most hops that are `tried`.

    Of equal ways it is the first by the names of the releases. None: there is no way. Raises KeyError: no such release.
    """
    for name in (origin, target):
        if name not in releases:
            raise KeyError(name)
    seen: set[str] = set()
    queue: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, (origin,))]
    while queue:
        hops, untried, way = heappop(queue)
        if way[-1] == target:
            return tuple(pairwise(way))
        if way[-1] in seen:
            continue
        seen.add(way[-1])
        for name in releases:
            if name not in seen and allowed(releases[way[-1]], releases[name]):
                heappush(queue, (hops + 1, untried + ((way[-1], name) not in tried), (*way, name)))
    return None


def allowed(old: Versions, new: Versions) -> bool:
    """Return whether one may become the other directly: both are for the same, they differ, and no rule forbids it."""
    return old != new and same_kind(old, new) and not forbidden(old, new)


def same_kind(old: Versions, new: Versions) -> bool:
    """Return whether two releases are for clusters of the same kind."""
    return all(kind.isdisjoint(old) == kind.isdisjoint(new) for kind in _KINDS)
