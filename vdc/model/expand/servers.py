"""Servers: those of racks, and guests beside the fabric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from vdc.model import addressing
from vdc.model.expand.hardware import DEFAULT_DATA, DEFAULT_MEMORY, make_hardware, make_seed
from vdc.model.expand.routers import prefer
from vdc.model.expand.segments import Net
from vdc.model.expand.sessions import Speaking, session, speaking
from vdc.model.expand.shape import Place, Rack, Shape, merge
from vdc.model.expand.shares import Shares
from vdc.model.expand.wires import Wires
from vdc.model.hardware import Hardware, Seed
from vdc.model.ip import Address, Interface, Prefix
from vdc.model.releases import names
from vdc.model.spec import OverrideSpec, ServerSpec
from vdc.model.topology import End, Server, ServerPort, Session, Tier

_NOTHING = OverrideSpec()

NOBODY = IPv4Address("0.0.0.0")  # noqa: S104 - no address to bind to
"""The router id of a server that speaks no BGP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    cpu: int
    memory: int
    data: int
    hardware: Hardware
    seed: Seed
    image: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMaker:
    """Makes servers and puts their NICs on segments; `texts` holds the files that the topology file names.

    `tors` are the ends of ToRs on their segments, by the name of both.
    """

    shape: Shape
    wires: Wires
    nets: Mapping[str, Net]
    texts: Mapping[str, str]
    tors: Mapping[str, Speaking]

    def of_racks(self) -> Iterator[Server]:
        """Yield the servers of the racks, in the order of the file."""
        shares = Shares(self.shape)
        for rack in self.shape.racks:
            numbers = shares.numbers(rack)
            for place in rack.places:
                mine = numbers.get(place.name, {})
                yield self._of_rack(rack, place, shares.announced(place, mine), shares.pods(mine))

    def _of_rack(self, rack: Rack, place: Place, announces: tuple[Interface, ...], pods: tuple[Prefix, ...]) -> Server:
        shape, spec = self.shape, self.shape.spec
        number = addressing.server_number(rack.number, place.position, shape.rack_room)
        asn = addressing.server_asn(spec.asn.server, number)
        if spec.routing.rack == "ibgp":
            asn = addressing.tor_asn(spec.asn.tor, rack.number)
        override = spec.overrides.get(place.name, _NOTHING)
        nodes = prefer(override.addresses or (), (addressing.host(pools.node, number) for pools in shape.pools))
        first = nodes[0].ip
        asn = override.asn or asn
        machine = self._machine(place.name, place.spec)
        ports = tuple(self._rack_ports(rack, place, number, override.macs or ()))
        return Server(
            name=place.name,
            role=place.role,
            rack=rack.number,
            index=place.position,
            asn=asn,
            router_id=first if isinstance(first, IPv4Address) else addressing.server_router_id(number),
            nodes=nodes if machine.image is None else (),
            ports=ports,
            announces=announces,
            pods=pods,
            sessions=tuple(self._sessions(place.name, asn, ports)) if machine.image is None else (),
            cpu=machine.cpu,
            memory=machine.memory,
            data=machine.data,
            hardware=machine.hardware,
            seed=machine.seed,
            image=machine.image,
        )

    def _rack_ports(self, rack: Rack, place: Place, number: int, macs: Sequence[str]) -> Iterator[ServerPort]:
        where = [addressing.router_name(Tier.TOR, index, rack=rack.number) for index in range(rack.tors)]
        positions = [2 + place.position] * rack.tors
        if self.shape.spec.oob.servers:
            where.append(addressing.OOB)
            positions.append(addressing.oob_server_position(number))
        for nic, (segment, position) in enumerate(zip(where, positions, strict=True)):
            addresses = self.nets[segment].at(position)
            yield self.plug(place.name, nic, segment, addresses, mac=macs[nic] if nic < len(macs) else None)

    def _sessions(self, server: str, asn: int, ports: Iterable[ServerPort]) -> Iterator[Session]:
        for port in ports:
            if port.tor is not None:
                end = End(device=server, interface=port.interface, addresses=port.addresses)
                yield session(speaking(end, asn, None), self.tors[port.tor])

    def plug(
        self, server: str, number: int, segment: str, addresses: tuple[Interface, ...], *, mac: str | None = None
    ) -> ServerPort:
        """Put NIC `number` of a server on `segment`."""
        said = self.wires.properties(server, segment)
        net = self.nets[segment]
        port = ServerPort(
            interface=addressing.nic_name(number, segment),
            tap=addressing.tap_name(server, number),
            mac=mac or addressing.mac(self.shape.spec.name, server, number),
            segment=segment,
            tor=segment if segment in self.tors and server not in self.shape.spec.devices else None,
            addresses=addresses,
            mtu=said.mtu or net.mtu,
            egress=said.to_other,
            ingress=said.to_one,
        )
        net.ends.append(
            End(
                device=server,
                interface=port.interface,
                addresses=addresses,
                mac=port.mac,
                mtu=said.mtu,
                egress=port.egress,
                ingress=port.ingress,
            )
        )
        return port

    def beside(self, name: str, index: int, ports: tuple[ServerPort, ...], gateways: tuple[Address, ...]) -> Server:
        """Return the guest `name` beside the fabric."""
        device = self.shape.spec.devices[name]
        inherited = self.shape.spec.roles.get(device.role) if device.role is not None else None
        machine = self._machine(name, merge(inherited, device.server))
        return Server(
            name=name,
            role=device.role or "server",
            rack=None,
            index=index,
            asn=0,
            router_id=NOBODY,
            nodes=(),
            ports=ports,
            gateways=gateways,
            sessions=(),
            cpu=machine.cpu,
            memory=machine.memory,
            data=machine.data,
            hardware=machine.hardware,
            seed=machine.seed,
            image=machine.image,
        )

    def _machine(self, name: str, spec: ServerSpec) -> _Machine:
        hardware = make_hardware(name, spec, self.shape.spec.device_classes)
        return _Machine(
            cpu=spec.cpu or (hardware.smp.cpus if hardware.smp is not None else 1),
            memory=spec.memory or DEFAULT_MEMORY,
            data=spec.data or DEFAULT_DATA,
            hardware=hardware,
            seed=make_seed(spec, self.texts),
            image=None if spec.image in names() else spec.image,
        )
