"""Clients outside the borders, and the file's own devices beside the fabric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vdc.model import addressing
from vdc.model.expand.segments import Cabling, Net
from vdc.model.expand.servers import ServerMaker
from vdc.model.expand.shape import Shape
from vdc.model.ip import Address, Interface
from vdc.model.spec import DeviceSpec, InterfaceSpec
from vdc.model.topology import End, External, SegmentKind, Server, ServerPort, Tier


def make_clients(shape: Shape, cabling: Cabling, nets: Mapping[str, Net]) -> Iterator[External]:
    """Yield the clients of the external network, then those of the tester's place, which has a leg on the oob one."""
    borders = tuple(spot.name for spot in shape.spots if spot.tier is Tier.BORDER)
    for segment, clients in (
        (addressing.EXTERNAL, shape.spec.external.clients),
        (addressing.OPERATION, shape.spec.operation.clients),
    ):
        for index in range(clients):
            net, name = nets[segment], addressing.client_name(index, clients, segment)
            ends = [cabling.plug(net, name, addressing.nic_name(0), net.from_the_end(index))]
            if segment == addressing.OPERATION and addressing.OOB in nets:
                oob = nets[addressing.OOB]
                addresses = oob.at(addressing.oob_client_position(index))
                ends.append(cabling.plug(oob, name, addressing.nic_name(1), addresses))
            yield _client(name, net.name, ends, net.gateways(borders))


def _client(name: str, segment: str, ends: list[End], gateways: tuple[Address, ...]) -> External:
    first, *further = ends
    return External(
        name=name,
        segment=segment,
        interface=first.interface,
        addresses=first.addresses,
        gateways=gateways,
        further=tuple(further),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The file's own devices, as they stand on their networks; wires between routers are links."""

    shape: Shape
    cabling: Cabling
    nets: Mapping[str, Net]
    maker: ServerMaker

    def plug(self) -> tuple[tuple[External, ...], tuple[Server, ...]]:
        """Put all of them on their networks; return the clients and the servers."""
        devices = self.shape.spec.devices
        ends: dict[str, list[End]] = {}
        ports: dict[str, tuple[ServerPort, ...]] = {}
        for name, device in devices.items():
            if device.kind == "server":
                ports[name] = tuple(self._ports(name, device))
            else:
                ends[name] = list(self._ends(name, device))
        clients = tuple(
            _client(name, str(_on_networks(device)[0].network), ends[name], self._gateways(device))
            for name, device in devices.items()
            if device.kind == "client"
        )
        servers = tuple(
            self.maker.beside(name, index, own, self._gateways(devices[name]))
            for index, (name, own) in enumerate(ports.items())
        )
        return clients, servers

    def _ends(self, name: str, device: DeviceSpec) -> Iterator[End]:
        for number, spec in enumerate(_on_networks(device)):
            net = self.nets[str(spec.network)]
            interface = net.name if device.kind == "router" else addressing.nic_name(number)
            yield self.cabling.plug(net, name, interface, _addresses(net, spec), mac=spec.mac)

    def _ports(self, name: str, device: DeviceSpec) -> Iterator[ServerPort]:
        for number, spec in enumerate(_on_networks(device)):
            net = self.nets[str(spec.network)]
            yield self.maker.plug(name, number, net.name, _addresses(net, spec), mac=spec.mac)

    def _gateways(self, device: DeviceSpec) -> tuple[Address, ...]:
        """Return where a device's default route leads: the routers on its first network, if the file does not say."""
        interfaces = _on_networks(device)
        if device.gateways or not interfaces:
            return device.gateways
        net = self.nets[str(interfaces[0].network)]
        if net.kind is SegmentKind.FLAT:
            return net.gateways(self.shape.routers_beside)
        return net.gateways(spot.name for spot in self.shape.spots if spot.tier is Tier.BORDER)


def _on_networks(device: DeviceSpec) -> tuple[InterfaceSpec, ...]:
    return tuple(each for each in device.interfaces if each.network is not None)


def _addresses(net: Net, spec: InterfaceSpec) -> tuple[Interface, ...]:
    return net.next_free() if spec.addresses is None else spec.addresses
