"""Faults of cables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Wire, device_of
from vdc.datacenter.convergence import sessions_of
from vdc.faults.base import Fault
from vdc.faults.judging import SLACK, contradictions, salvos
from vdc.faults.sight import reverse, session_back, session_lost
from vdc.model.disturbance import UNDISTURBED, Disturbance
from vdc.model.topology import Impairment, Session, Topology
from vdc.wait import NotYet


@dataclass(frozen=True, slots=True)
class LinkCut(Fault):
    """The cable of one interface of a server or a router is pulled out."""

    needs = "a session over the cable, by which others see it"

    device: str
    interface: str

    @property
    def name(self) -> str:
        """`DEVICE INTERFACE unplugged`."""
        return f"{self.device} {self.interface} unplugged"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such cable, or that nobody would notice."""
        if self.device not in dc.routers and self.device not in dc.servers:
            return f"there is no router or server {self.device}"
        if not self._sessions(dc):
            return f"{self.device} has no session over {self.interface}, so nobody could prove it"
        return None

    def inject(self, dc: DataCenter) -> None:
        """Pull the cable."""
        device_of(dc, self.device).set_link(self.interface, up=False)

    def bites(self, dc: DataCenter) -> None:
        """The carrier is gone, and the device at the far end has lost the session over the cable."""
        if device_of(dc, self.device).link_is_up(self.interface):
            raise NotYet(f"{self.device} {self.interface} still has a carrier")
        for session in self._sessions(dc):
            session_lost(dc, reverse(dc, session))

    def heal(self, dc: DataCenter) -> None:
        """Plug the cable in again."""
        device_of(dc, self.device).set_link(self.interface, up=True)

    def healed(self, dc: DataCenter) -> None:
        """The carrier is back, and so is the session at both its ends."""
        if not device_of(dc, self.device).link_is_up(self.interface):
            raise NotYet(f"{self.device} {self.interface} has no carrier")
        for session in self._sessions(dc):
            session_back(dc, reverse(dc, session))
            session_back(dc, session)

    def _sessions(self, dc: DataCenter) -> tuple[Session, ...]:
        return tuple(s for s in sessions_of(dc, self.device) if s.interface == self.interface)


@dataclass(frozen=True, slots=True)
class LinkDisturbed(Fault):
    """A cable delays, loses, reorders, doubles, changes or slows down packets, or swallows large ones.

    `outgoing` is what happens to those that the device sends over the interface, `incoming` to those it gets; the
    carrier stays. It is done on the host, from outside the devices.
    """

    needs = "nftables and taps on the host; a router with an IPv4 address at the other end of a server's cable"

    device: str
    interface: str
    outgoing: Disturbance = UNDISTURBED
    incoming: Disturbance = UNDISTURBED

    def __post_init__(self) -> None:
        if not self.outgoing and not self.incoming:
            raise ValueError("nothing is done to any packet: give it a delay, a loss …")

    @property
    def name(self) -> str:
        """`DEVICE INTERFACE: delay 100 ms, loss 5 %`, with the direction if it is only one."""
        if self.outgoing == self.incoming:
            return f"{self.device} {self.interface}: {self.outgoing}"
        ways = (("outgoing", self.outgoing), ("incoming", self.incoming))
        return f"{self.device} {self.interface}: {'; '.join(f'{way} {what}' for way, what in ways if what)}"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such device, or what the host or the cable lacks."""
        if self.device not in {*dc.routers, *dc.servers, *dc.externals}:
            return f"there is no router, server or client {self.device}"
        wire = self._wire(dc)
        for what in (self.outgoing, self.incoming):
            if what.mtu >= wire.mtu:
                return f"the cable carries no packets of more than {wire.mtu} B anyway"
        if _impaired(dc.topology, self.device, self.interface):
            return "the topology impairs this cable already, so nobody could tell the one from the other"
        return wire.lacks()

    def inject(self, dc: DataCenter) -> None:
        """Put it in effect for both directions."""
        self._wire(dc).disturb(self.key, outgoing=self.outgoing, incoming=self.incoming)

    def bites(self, dc: DataCenter) -> None:
        """Numbered packets over the cable show it in each direction, and nothing else."""
        self._expect(dc, self.outgoing, self.incoming)

    def heal(self, dc: DataCenter) -> None:
        """Undo it."""
        self._wire(dc).restore(self.key)

    def healed(self, dc: DataCenter) -> None:
        """Nothing of it is left, numbered packets come as they were sent, and the sessions of the cable are there."""
        self._wire(dc).expect_restored(self.key)
        self._expect(dc, UNDISTURBED, UNDISTURBED)
        speaks = self.device in dc.routers or self.device in dc.servers
        for session in sessions_of(dc, self.device) if speaks else ():
            if session.interface == self.interface:
                session_back(dc, reverse(dc, session))
                session_back(dc, session)

    def _expect(self, dc: DataCenter, outgoing: Disturbance, incoming: Disturbance) -> None:
        wire = self._wire(dc)
        flown = {name: wire.fly(each) for name, each in salvos(self.outgoing, self.incoming, wire.mtu).items()}
        ways = (("outgoing", 0, outgoing, self.outgoing), ("incoming", 1, incoming, self.incoming))
        deaf = incoming.loss == 1
        # a guest answers itself, as slowly as it runs
        slack = SLACK * (max(1.0, dc.slowness) if self.device in dc.servers else 1.0)
        wrong = [
            f"{way}: {text}"
            for way, place, what, was in ways
            for text in contradictions(
                what,
                {name: both[place] for name, both in flown.items()},
                was=None if what else was,
                unasked=way == "outgoing" and deaf,
                slack=slack,
            )
        ]
        if wrong:
            raise NotYet(f"{self.device} {self.interface}: {'; '.join(wrong)}")

    def _wire(self, dc: DataCenter) -> Wire:
        return dc.wire(self.device, self.interface)


def LinkOneWay(device: str, interface: str) -> LinkDisturbed:  # noqa: N802 - reads as the fault it makes
    """Return the fault in which all that a device sends over a cable is lost, while it still gets what others send."""
    return LinkDisturbed(device, interface, outgoing=Disturbance(loss=1.0))


def _impaired(topology: Topology, device: str, interface: str) -> bool:
    """Return whether the topology delays, loses or slows down packets on the cable of an interface."""
    place = (device, interface)
    found: list[Impairment | None] = []
    for link in topology.links:
        if place in {(link.a.device, link.a.interface), (link.b.device, link.b.interface)}:
            found += [link.to_a, link.to_b]
    for port in topology.server(device).ports if topology.has_server(device) else ():
        if port.interface == interface:
            found += [port.egress, port.ingress]
            found += _of_ends(topology, port.segment, port.tor)
    for segment in topology.segments:
        if any((end.device, end.interface) == place for end in segment.ports):
            found += _of_ends(topology, segment.name, device)
    return any(each not in {None, Impairment()} for each in found)


def _of_ends(topology: Topology, segment: str, device: str | None) -> Iterator[Impairment | None]:
    ends = (end for each in topology.segments if each.name == segment for end in each.ports)
    for end in ends:
        if end.device == device:
            yield from (end.egress, end.ingress)
