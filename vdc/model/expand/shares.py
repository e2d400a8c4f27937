"""What servers announce besides their own address: exposed addresses and blocks of pod addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from vdc.model import addressing
from vdc.model.expand.shape import Place, Rack, Shape, exposed_pool
from vdc.model.ip import Interface, Prefix
from vdc.model.spec import ServerSpec

POD = "pod"


class Shares:
    """Numbers in the exposed pools and the pod pool: each rack has a block, its servers follow each other in it."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    @cached_property
    def rooms(self) -> Mapping[str, int]:
        """How many numbers of each pool a rack is given; a pool from which nobody takes is not there."""
        most: Counter[str] = Counter()
        for rack in self._shape.racks:
            taken = sum((_takes(place.spec) for place in rack.places), Counter[str]())
            most |= taken
        least = {POD: addressing.LEAST_SERVERS}
        return {pool: addressing.block(count, least.get(pool, 1)) for pool, count in most.items()}

    def numbers(self, rack: Rack) -> Mapping[str, Mapping[str, range]]:
        """Return for each server of a rack, by name, its numbers in each pool that it takes from."""
        found: dict[str, Mapping[str, range]] = {}
        used = {pool: rack.number * room for pool, room in self.rooms.items()}
        if not used:
            return found
        for place in sorted(rack.places, key=lambda each: each.position):
            takes = _takes(place.spec)
            found[place.name] = {pool: range(used[pool], used[pool] + count) for pool, count in takes.items()}
            for pool, count in takes.items():
                used[pool] += count
        return found

    def announced(self, place: Place, numbers: Mapping[str, range]) -> tuple[Interface, ...]:
        """Return the exposed addresses of a server, pool by pool."""
        return tuple(
            addressing.host(prefix, number)
            for name in place.spec.announces or ()
            for pools in self._shape.pools
            if (prefix := exposed_pool(pools, name)) is not None
            for number in numbers.get(name, ())
        )

    def pods(self, numbers: Mapping[str, range]) -> tuple[Prefix, ...]:
        """Return the blocks of pod addresses of a server, each number in every family."""
        return tuple(
            addressing.segment_prefix(pools.pod, pools.pod_length, number)
            for number in numbers.get(POD, ())
            for pools in self._shape.pools
        )


def _takes(spec: ServerSpec) -> Counter[str]:
    found = Counter[str](dict.fromkeys(spec.announces or (), 1))
    return found + Counter({POD: spec.pod_blocks or 0})
