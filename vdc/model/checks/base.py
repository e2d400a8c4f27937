"""What the rules share: findings, and a survey of the devices and wires that a spec means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from vdc.model import addressing
from vdc.model.expand.shape import Rack as LaidRack
from vdc.model.expand.shape import Shape
from vdc.model.ip import Prefix
from vdc.model.spec import FabricSpec, RackSpec, ServerSpec, TopologySpec
from vdc.model.topology import Tier
from vdc.model.yamltree import Path

BUILT_IN: Final = (addressing.EXTERNAL, addressing.OPERATION, addressing.OOB)
"""Networks that are there as soon as somebody is on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule: shown at `path`, or at its key; it follows from the values at `path` and at each of `because`."""

    path: Path
    message: str
    because: tuple[Path, ...] = ()
    at_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """A rack: the place in the file that it comes from, what stands there, and what it comes to."""

    path: Path
    spec: RackSpec
    laid: LaidRack


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a spec comes to, as far as rules must know it."""

    spec: TopologySpec

    @property
    def fabric(self) -> FabricSpec:
        """The fabric."""
        return self.spec.fabric

    @cached_property
    def shape(self) -> Shape:
        """Its racks laid out, with the numbers that addresses come from."""
        return Shape(spec=self.spec)

    @cached_property
    def racks(self) -> tuple[Rack, ...]:
        """Every rack."""
        return tuple(
            Rack(path=path, spec=rack, laid=laid)
            for (path, rack), laid in zip(self._placed(), self.shape.racks, strict=True)
        )

    def _placed(self) -> Iterator[tuple[Path, RackSpec]]:
        for number, rack in enumerate(self.spec.racks):
            yield from _each(rack, ("racks", number))

    @cached_property
    def entries(self) -> tuple[Rack, ...]:
        """The first rack of each entry of the file."""
        first: dict[Path, Rack] = {}
        for rack in self.racks:
            first.setdefault(rack.path, rack)
        return tuple(first.values())

    @cached_property
    def routers(self) -> Mapping[str, Tier]:
        """The tier of each router of the fabric."""
        return {spot.name: spot.tier for spot in self.shape.spots}

    @cached_property
    def servers(self) -> Mapping[str, ServerSpec]:
        """What every server of a rack has in all."""
        return {place.name: place.spec for rack in self.racks for place in rack.laid.places}

    @property
    def server_numbers(self) -> int:
        """How many numbers are given out to servers, up to the last that a server has."""
        room = self.shape.rack_room
        last = ((rack.laid.number, len(rack.laid.places)) for rack in reversed(self.racks) if rack.laid.places)
        return next((addressing.server_number(number, places, room) for number, places in last), 0)

    @cached_property
    def clients(self) -> Mapping[str, Path]:
        """Every client of `external` and `operation`, with the key that says so."""
        found: dict[str, Path] = {}
        for network, section in (("external", self.spec.external), ("operation", self.spec.operation)):
            for index in range(section.clients):
                name = network if section.clients == 1 else f"{network}{index}"
                found[name] = (network, "clients")
        return found

    @cached_property
    def devices(self) -> frozenset[str]:
        """The names of all devices."""
        return frozenset((*self.routers, *self.servers, *self.clients, *self.spec.devices))

    @cached_property
    def networks(self) -> frozenset[str]:
        """The names of all networks that a device may be on; those of ToRs are called as they are."""
        spec = self.spec
        tors = (name for name, tier in self.routers.items() if tier is Tier.TOR)
        return frozenset((*BUILT_IN, *spec.networks, *tors))

    def tor_prefixes(self, name: str) -> tuple[Prefix, ...]:
        """Return the prefixes of the segment of a ToR; none if there is no such ToR."""
        spot = next((spot for spot in self.shape.spots if spot.name == name and spot.tier is Tier.TOR), None)
        if spot is None:
            return ()
        return tuple(
            addressing.segment_prefix(pools.segment, pools.segment_length, spot.number) for pools in self.shape.pools
        )

    def links(self) -> Iterator[tuple[str, str]]:
        """Yield the names of both ends of each wire between routers, the outer one first."""
        yield from ((outer.name, inner.name) for outer, inner, _ in self.shape.cables)
        for name, device in self.spec.devices.items():
            yield from ((each.link, name) for each in device.interfaces if each.link is not None)

    def cables(self) -> Iterator[tuple[str, str]]:
        """Yield for each cable to a network the names of the device and of the network."""
        spec = self.spec
        borders = [name for name, tier in self.routers.items() if tier is Tier.BORDER]
        for name, path in self.clients.items():
            yield name, str(path[0])
        outside = (addressing.EXTERNAL, addressing.OPERATION)
        for network in (each for each in outside if getattr(spec, each).clients or self.guests[each]):
            yield from ((border, network) for border in borders)
        if spec.oob.servers or self.guests[addressing.OOB]:
            testers = (name for name, path in self.clients.items() if path[0] == addressing.OPERATION)
            yield from ((name, addressing.OOB) for name in testers)
        for rack in self.racks:
            for place in rack.laid.places:
                yield from ((place.name, tor) for tor in tors_of(rack))
                if spec.oob.servers:
                    yield place.name, "oob"
        for name, device in spec.devices.items():
            yield from ((name, each.network) for each in device.interfaces if each.network is not None)

    @cached_property
    def guests(self) -> Counter[str]:
        """How many devices beside the fabric are on each network."""
        interfaces = (each for device in self.spec.devices.values() for each in device.interfaces)
        return Counter(each.network for each in interfaces if each.network is not None)

    @cached_property
    def hardware(self) -> tuple[tuple[Path, ServerSpec], ...]:
        """Every place of the file that says what servers have, and what it says."""
        return tuple(self._hardware())

    def _hardware(self) -> Iterator[tuple[Path, ServerSpec]]:
        yield from ((("roles", role), server) for role, server in self.spec.roles.items())
        for entry in self.entries:
            yield from (((*entry.path, "roles", role), server) for role, server in entry.spec.roles.items())
        for name, device in self.spec.devices.items():
            if device.server is not None:
                yield ("devices", name, "server"), device.server
        yield from ((("overrides", name), server) for name, server in self.spec.overrides.items())


def _each(rack: RackSpec, path: Path) -> Iterator[tuple[Path, RackSpec]]:
    if rack.racks is None:
        yield from ((path, rack) for _ in range(rack.count))
        return
    for _ in range(rack.repeat or 1):
        for number, inner in enumerate(rack.racks):
            yield from _each(inner, (*path, "racks", number))


def tors_of(rack: Rack) -> tuple[str, ...]:
    """Return the names of the ToRs of a rack."""
    return tuple(addressing.router_name(Tier.TOR, index, rack=rack.laid.number) for index in range(rack.laid.tors))
