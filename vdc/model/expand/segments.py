"""Segments: which there are, what stands on each, and with which addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vdc.model import addressing
from vdc.model.expand.shape import Shape
from vdc.model.expand.wires import Wires
from vdc.model.ip import Address, Interface, Prefix
from vdc.model.topology import End, Segment, SegmentKind, Tier


@dataclass(slots=True, kw_only=True)
class Net:
    """A segment that is being filled: those without a place look from `free`, past what the file has `given` others."""

    name: str
    kind: SegmentKind
    prefixes: tuple[Prefix, ...]
    mtu: int
    free: int = 1
    given: frozenset[Address] = frozenset()
    taken: set[Address] | None = None
    ends: list[End] = field(default_factory=list)

    def at(self, position: int) -> tuple[Interface, ...]:
        """Return the addresses at a position, one of each family."""
        return tuple(addressing.port(prefix, position) for prefix in self.prefixes)

    def from_the_end(self, index: int) -> tuple[Interface, ...]:
        """Return the addresses of the `index`-th client, counted down from the last."""
        return tuple(addressing.port(prefix, addressing.last_position(prefix) - index) for prefix in self.prefixes)

    def next_free(self) -> tuple[Interface, ...]:
        """Return the addresses of the next free position; none where there is no prefix, or no room."""
        if self.taken is None:
            self.taken = {address.ip for end in self.ends for address in end.addresses} | self.given
        last = min((prefix.num_addresses for prefix in self.prefixes), default=0) - 1
        while self.free < last:
            found = self.at(self.free)
            self.free += 1
            if self.taken.isdisjoint(address.ip for address in found):
                return found
        return ()

    def gateways(self, devices: Iterable[str]) -> tuple[Address, ...]:
        """Return the addresses that `devices` have on it."""
        wanted = frozenset(devices)
        return tuple(address.ip for end in self.ends if end.device in wanted for address in end.addresses)

    def segment(self) -> Segment:
        """Return it, filled."""
        return Segment(name=self.name, kind=self.kind, prefixes=self.prefixes, ports=tuple(self.ends), mtu=self.mtu)


@dataclass(slots=True, kw_only=True)
class Cabling:
    """Puts devices on segments: every cable with its name on the bridge, MAC and impairments."""

    shape: Shape
    wires: Wires
    legs: dict[str, int] = field(default_factory=dict)

    def plug(
        self,
        net: Net,
        device: str,
        interface: str,
        addresses: tuple[Interface, ...],
        *,
        mac: str | None = None,
    ) -> End:
        """Put a router or client on `net`, and return its end of the cable."""
        said = self.wires.properties(device, net.name)
        leg = self.legs.get(device, 0)
        self.legs[device] = leg + 1
        end = End(
            device=device,
            interface=interface,
            addresses=addresses,
            link_local=next((addressing.segment_link_local(each) for each in addresses if each.version == 6), None),
            mac=mac or addressing.mac(self.shape.spec.name, device, interface),
            leg=addressing.leg_name(device, leg),
            mtu=said.mtu,
            egress=said.to_other,
            ingress=said.to_one,
        )
        net.ends.append(end)
        return end


def server_nets(shape: Shape) -> Iterator[Net]:
    """Yield the segment of each ToR, its prefix that of the ToR's number."""
    for rack in shape.racks:
        for index in range(rack.tors):
            name = addressing.router_name(Tier.TOR, index, rack=rack.number)
            prefixes = tuple(
                addressing.segment_prefix(pools.segment, pools.segment_length, rack.first_tor + index)
                for pools in shape.pools
            )
            yield _empty(shape, name, SegmentKind.SERVERS, prefixes, free=2 + len(rack.places))


def other_nets(shape: Shape) -> Iterator[Net]:
    """Yield the segments that belong to no ToR."""
    pools, outside = shape.pools, shape.spec.fabric.borders + 1
    external, operation = (tuple(each.external for each in pools), tuple(each.operation for each in pools))
    yield _empty(shape, addressing.EXTERNAL, SegmentKind.EXTERNAL, external, free=outside)
    yield _empty(shape, addressing.OPERATION, SegmentKind.OPERATION, operation, free=outside)
    management, clients = tuple(each.oob for each in pools), shape.spec.operation.clients
    yield _empty(shape, addressing.OOB, SegmentKind.OOB, management, free=addressing.oob_client_position(clients))
    for name, network in shape.spec.networks.items():
        yield _empty(shape, name, SegmentKind.FLAT, network.prefixes, mtu=network.mtu)


def _empty(
    shape: Shape, name: str, kind: SegmentKind, prefixes: tuple[Prefix, ...], *, free: int = 1, mtu: int | None = None
) -> Net:
    given = shape.given.get(name, frozenset())
    return Net(name=name, kind=kind, prefixes=prefixes, mtu=mtu or shape.mtu, free=free, given=given)


def used_nets(shape: Shape) -> frozenset[str]:
    """Return the segments that somebody stands on; a flat one is there in any case."""
    spec = shape.spec
    used = {interface.network for device in spec.devices.values() for interface in device.interfaces}
    used |= set(spec.networks)
    used |= {addressing.EXTERNAL} if spec.external.clients else set()
    used |= {addressing.OPERATION} if spec.operation.clients else set()
    used |= {addressing.OOB} if spec.oob.servers else set()
    used |= {
        addressing.router_name(Tier.TOR, index, rack=rack.number)
        for rack in shape.racks
        for index in range(rack.tors)
        if rack.places
    }
    return frozenset(name for name in used if name is not None)


def fill_routers(cabling: Cabling, nets: Mapping[str, Net]) -> None:
    """Put ToRs and borders on their segments, at the first positions."""
    for spot in cabling.shape.spots:
        if spot.tier is Tier.TOR and spot.name in nets:
            net = nets[spot.name]
            cabling.plug(net, spot.name, addressing.SERVERS, net.at(1))
        elif spot.tier is Tier.BORDER:
            for name in (addressing.EXTERNAL, addressing.OPERATION):
                if name in nets:
                    cabling.plug(nets[name], spot.name, name, nets[name].at(1 + spot.index))
