"""A cable, live: where its packets can be disturbed, and where numbered ones are sent over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from vdc.errors import InputError
from vdc.host import flights, wires
from vdc.host.flights import Guest, Place
from vdc.host.wires import Side
from vdc.model import addressing
from vdc.model.disturbance import Disturbance
from vdc.model.flight import Flight, Salvo
from vdc.model.topology import End, Link, Server, ServerPort, Topology
from vdc.plan.context import PlanContext


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWire:
    """Implements `vdc.datacenter.api.Wire`.

    What the device sends sets out at `outgoing`, what it gets at `incoming`. Numbered packets go between `near` and
    `far`; where the device is a guest, from `far` to the guest and back.
    """

    outgoing: Side
    incoming: Side
    near: Place
    far: Place | None
    mtu: int
    log: Path
    guest: Guest | None = None

    def lacks(self) -> str | None:
        """Return why its packets cannot be disturbed, or None."""
        if self.far is None or (self.outgoing.bridge and self.guest is None):
            return "no router with an IPv4 address is at its other end, so nobody could prove it"
        return wires.lacks()

    def disturb(self, key: str, *, outgoing: Disturbance, incoming: Disturbance) -> None:
        """Disturb its packets. Raises BuildError."""
        ways = ((self.outgoing, outgoing), (self.incoming, incoming))
        _both([partial(wires.disturb, side, what, _own(key, side), self.log) for side, what in ways if what])

    def restore(self, key: str) -> None:
        """Undo the disturbance of this key."""
        _both([partial(wires.restore, side, _own(key, side)) for side in (self.outgoing, self.incoming)])

    def expect_restored(self, key: str) -> None:
        """Return if nothing on this host is left of what `restore` has undone; raises NotYet otherwise."""
        for side in (self.outgoing, self.incoming):
            wires.expect_gone(side, _own(key, side))

    def fly(self, salvo: Salvo) -> tuple[Flight, Flight]:
        """Send numbered packets over it both ways."""
        assert self.far is not None, "nobody is at the other end"
        if self.guest is None:
            return flights.fly(self.near, self.far, salvo)
        to_guest, from_guest = flights.fly_echo(self.far, self.near, self.guest, salvo)
        return from_guest, to_guest


def _both(actions: Sequence[Callable[[], None]]) -> None:
    """Do what is to be done for each side at the same time: most of it is waiting for the kernel."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


def wire_of(topology: Topology, context: PlanContext, device: str, interface: str) -> LiveWire:
    """Return the cable of an interface. Raises InputError: there is no such device or interface."""
    log = context.run_directory / "leases" / "relays.log"
    if topology.has_server(device):
        return _of_server(topology.server(device), interface, topology, context, log)
    found = dict(_of_device(device, topology, context, log))
    if interface not in found:
        raise InputError(f"{device} has no interface {interface}", hint=f"there is {', '.join(found) or 'none'}")
    return found[interface]


def _of_device(device: str, topology: Topology, context: PlanContext, log: Path) -> Iterator[tuple[str, LiveWire]]:
    for link in topology.links:
        for near, far in ((link.a, link.b), (link.b, link.a)):
            if near.device == device:
                yield near.interface, _between(_place(near, context), _place(far, context), _link_mtu(link), log)
    for segment in topology.segments:
        for end in segment.ports:
            if end.device == device:
                leg = Place(netns=context.netns, interface=end.leg or addressing.leg_name(end.device))
                yield end.interface, _between(_place(end, context), leg, end.mtu or segment.mtu, log)


def _of_server(server: Server, interface: str, topology: Topology, context: PlanContext, log: Path) -> LiveWire:
    port = next((each for each in server.ports if each.interface == interface), None)
    if port is None:
        names = ", ".join(each.interface for each in server.ports)
        raise InputError(f"{server.name} has no interface {interface}", hint=f"it has {names}")
    segment = next(each for each in topology.segments if each.name == port.segment)
    router = next((end for end in segment.ports if end.device == port.tor), None)
    tap = Side(netns=context.netns, interface=port.tap)
    return LiveWire(
        outgoing=Side(netns=context.netns, interface=port.tap, bridge=segment.name, mac=port.mac),
        incoming=tap,
        near=Place(netns=context.netns, interface=port.tap),
        far=_place(router, context) if router is not None else None,
        mtu=port.mtu,
        log=log,
        guest=_guest(port, router),
    )


def _guest(port: ServerPort, router: End | None) -> Guest | None:
    theirs = [each.ip for each in port.addresses if isinstance(each.ip, IPv4Address)]
    ours = [each.ip for each in router.addresses if isinstance(each.ip, IPv4Address)] if router else []
    return Guest(address=theirs[0], mac=port.mac, source=ours[0]) if theirs and ours else None


def _between(near: Place, far: Place, mtu: int, log: Path) -> LiveWire:
    sides = (Side(netns=each.netns, interface=each.interface) for each in (near, far))
    outgoing, incoming = sides
    return LiveWire(outgoing=outgoing, incoming=incoming, near=near, far=far, mtu=mtu, log=log)


def _link_mtu(link: Link) -> int:
    return min(link.a.mtu or link.mtu, link.b.mtu or link.mtu)


def _place(end: End, context: PlanContext) -> Place:
    return Place(netns=context.device_netns(end.device), interface=end.interface)


def _own(key: str, side: Side) -> str:
    """Return the key of one side: both may be in one namespace."""
    return f"{key}{'g' if side.bridge else 'h'}"
