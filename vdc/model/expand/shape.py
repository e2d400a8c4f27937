"""What a file's counts mean: which racks there are, what stands in them, and the numbers that addresses come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from vdc.model import addressing
from vdc.model.ip import Address, Prefix
from vdc.model.spec import DeviceSpec, ExposedPool, Pools6Spec, PoolsSpec, RackSpec, ServerSpec, TopologySpec
from vdc.model.topology import STANDARD_MTU, Tier

Pools = PoolsSpec | Pools6Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server of a rack: `index` counts the servers of its role, `position` all of the rack."""

    role: str
    index: int
    position: int
    name: str
    spec: ServerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """A rack: `first_tor` is the ToR number of its first ToR."""

    number: int
    pod: int
    tors: int
    first_tor: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A router of the fabric before it has addresses; `number` counts the routers of its tier."""

    name: str
    tier: Tier
    number: int
    index: int
    pod: int | None = None
    rack: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A topology file with its racks laid out; `mtu` is what fabric and segments carry where nothing else is said."""

    spec: TopologySpec
    mtu: int = STANDARD_MTU

    @cached_property
    def racks(self) -> tuple[Rack, ...]:
        """The racks, by number. Those without a `pod` go round the pods in turn."""
        racks: list[Rack] = []
        placed = first_tor = 0
        merged: dict[tuple[int, str], ServerSpec] = {}
        for number, rack in enumerate(self.spec.each_rack()):
            pod = placed % self.spec.fabric.pods if rack.pod is None else rack.pod
            placed += rack.pod is None
            tors = self.spec.fabric.tors if rack.tors is None else rack.tors
            places = tuple(self._places(number, rack, merged))
            racks.append(Rack(number=number, pod=pod, tors=tors, first_tor=first_tor, places=places))
            first_tor += tors
        return tuple(racks)

    def _places(self, number: int, rack: RackSpec, merged: dict[tuple[int, str], ServerSpec]) -> Iterator[Place]:
        """Yield the servers in the order of the file; positions go through the roles in turn."""
        members = [(role, index) for role, count in rack.servers.items() for index in range(count)]
        order = sorted(range(len(members)), key=lambda member: (members[member][1], member))
        positions = {member: position for position, member in enumerate(order)}
        for member, (role, index) in enumerate(members):
            if (spec := merged.get((id(rack), role))) is None:
                spec = merge(self.spec.roles.get(role), rack.roles.get(role))
                merged[id(rack), role] = spec
            name = addressing.server_name(number, role, index)
            if (own := self.spec.overrides.get(name)) is not None:
                spec = merge(spec, own)
            yield Place(role=role, index=index, position=positions[member], name=name, spec=spec)

    @cached_property
    def tiers(self) -> tuple[tuple[Spot, ...], ...]:
        """The routers of the fabric, tier by tier from the outside in; tiers without any are left out."""
        tiers = (self._borders(), self._superspines(), self._spines(), self._tors())
        return tuple(spots for tier in tiers if (spots := tuple(tier)))

    @property
    def spots(self) -> Iterator[Spot]:
        """All of them."""
        for tier in self.tiers:
            yield from tier

    def _borders(self) -> Iterator[Spot]:
        for index in range(self.spec.fabric.borders):
            yield Spot(name=addressing.router_name(Tier.BORDER, index), tier=Tier.BORDER, number=index, index=index)

    def _superspines(self) -> Iterator[Spot]:
        for index in range(self.spec.fabric.superspines):
            name = addressing.router_name(Tier.SUPERSPINE, index)
            yield Spot(name=name, tier=Tier.SUPERSPINE, number=index, index=index)

    def _spines(self) -> Iterator[Spot]:
        pods = self.spec.fabric.pods
        for pod in range(pods):
            for index in range(self.spec.fabric.spines):
                yield Spot(
                    name=addressing.router_name(Tier.SPINE, index, pod=pod if pods > 1 else None),
                    tier=Tier.SPINE,
                    number=addressing.spine_number(pod, index, pods),
                    index=index,
                    pod=self._pod(pod),
                )

    def _tors(self) -> Iterator[Spot]:
        for rack in self.racks:
            for index in range(rack.tors):
                yield Spot(
                    name=addressing.router_name(Tier.TOR, index, rack=rack.number),
                    tier=Tier.TOR,
                    number=rack.first_tor + index,
                    index=index,
                    pod=self._pod(rack.pod),
                    rack=rack.number,
                )

    def _pod(self, pod: int) -> int | None:
        return pod if self.spec.fabric.pods > 1 else None

    @cached_property
    def cables(self) -> tuple[tuple[Spot, Spot, int], ...]:
        """The links of the fabric: the outer router, the inner one, and which of its uplinks it is.

        Every router has one to each router of the next tier outside that there is, of its own pod where that has pods.
        """
        found: list[tuple[Spot, Spot, int]] = []
        for outer, inner in pairwise(self.tiers):
            within: dict[int | None, list[Spot]] = {}
            for spot in inner:
                within.setdefault(spot.pod, []).append(spot)
            for pod, uppers in _by_pod(outer).items():
                lowers = inner if pod is None else tuple(within.get(pod, ()))
                found += [(upper, lower, upper.index) for upper in uppers for lower in lowers]
        return tuple(found)

    @cached_property
    def routers_beside(self) -> Mapping[str, DeviceSpec]:
        """The routers beside the fabric."""
        return {name: device for name, device in self.spec.devices.items() if device.kind == "router"}

    @cached_property
    def given(self) -> Mapping[str, frozenset[Address]]:
        """The addresses that devices beside the fabric have of their own, by network."""
        found: dict[str, frozenset[Address]] = {}
        for device in self.spec.devices.values():
            for each in device.interfaces:
                if each.network is not None and each.addresses:
                    own = frozenset(address.ip for address in each.addresses)
                    found[each.network] = found.get(each.network, frozenset()) | own
        return found

    @cached_property
    def rack_room(self) -> int:
        """How many server numbers each rack is given."""
        return addressing.block(max((len(rack.places) for rack in self.racks), default=0), addressing.LEAST_SERVERS)

    @cached_property
    def uplink_room(self) -> Mapping[bool, int]:
        """How many link numbers each ToR is given (True), and each other router (False)."""
        most = {True: 0, False: 0}
        for _, inner, uplink in self.cables:
            most[inner.tier is Tier.TOR] = max(most[inner.tier is Tier.TOR], uplink + 1)
        beside = (sum(1 for each in device.interfaces if each.link) for device in self.routers_beside.values())
        most[False] = max(most[False], *beside, 0)
        return {kind: addressing.block(count, addressing.LEAST_UPLINKS) for kind, count in most.items()}

    @cached_property
    def pools(self) -> tuple[Pools, ...]:
        """The pools of each routed family."""
        both: dict[str, tuple[Pools, ...]] = {
            "ipv4": (self.spec.pools,),
            "ipv6": (self.spec.pools6,),
            "dual": (self.spec.pools, self.spec.pools6),
        }
        return both[self.spec.family]


def exposed_pool(pools: Pools, name: ExposedPool) -> Prefix | None:
    """Return an exposed pool, if the file has it."""
    found: Prefix | None = getattr(pools, "global_" if name == "global" else name)
    return found


def _by_pod(spots: tuple[Spot, ...]) -> Mapping[int | None, list[Spot]]:
    found: dict[int | None, list[Spot]] = {}
    for spot in spots:
        found.setdefault(spot.pod, []).append(spot)
    return found


def merge(*layers: ServerSpec | None) -> ServerSpec:
    """Return what a server has: a key of a later layer wins; `cpu` and `smp` stand for one another."""
    found: dict[str, object] = {}
    for layer in layers:
        if layer is None:
            continue
        said = {key: value for key in ServerSpec.model_fields if (value := getattr(layer, key)) is not None}
        if said.keys() & {"cpu", "smp"}:
            found = {key: value for key, value in found.items() if key not in ("cpu", "smp")}
        found |= said
    return ServerSpec().model_copy(update=found)
