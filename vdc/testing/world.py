"""The state behind the fakes: what is on, plugged and blocked, and what follows. Simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain

from vdc.datacenter.api import Power, Routes, SessionState
from vdc.model.disturbance import Disturbance
from vdc.model.routing import expected_routes, expected_sessions
from vdc.model.topology import Address, Session, Tier, Topology
from vdc.shell import Completed
from vdc.testing.lies import Lie

Model = tuple[dict[str, Routes], dict[str, frozenset[str]]]


class World:
    """A data centre in memory. `claimed_*` is what devices say, the rest is so; only lies part the two.

    `programs` are what else devices know: a command's name to what it does on a device.
    """

    def __init__(self, topology: Topology, lies: Collection[Lie]) -> None:
        names = [*(router.name for router in topology.routers), *(server.name for server in topology.servers)]
        self.topology = topology
        self.lies = frozenset(lies)
        self.claimed_power = dict.fromkeys(names, Power.ON)
        self.claimed_cut: set[tuple[str, str]] = set()
        self.down: set[str] = set()
        self.cut: set[tuple[str, str]] = set()
        self.blocked: dict[str, frozenset[Address]] = {}
        self.wires: dict[tuple[str, str], dict[str, tuple[Disturbance, Disturbance]]] = {}
        self.boots = {server.name: 1 for server in topology.servers}
        self.releases = {server.name: topology.release for server in topology.servers}
        self.data: dict[str, str] = {}
        self.observers: list[Callable[[], None]] = []
        self.programs: dict[str, Callable[[str, tuple[str, ...]], Completed]] = {}
        self._models: dict[object, Model] = {}

    def switch_off(self, device: str) -> None:
        """Cut the power of a device."""
        self.claimed_power[device] = Power.OFF
        if Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.down.add(device)
        self.changed()

    def switch_on(self, device: str) -> None:
        """Give a device power; one that was down starts afresh."""
        self.claimed_power[device] = Power.ON
        if device in self.down and Lie.NEVER_HEALS not in self.lies:
            self.down.discard(device)
            self._booted(device)
        self.changed()

    def crash(self, server: str) -> None:
        """Stop a server that stays powered."""
        if Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.down.add(server)
        self.changed()

    def restart(self, server: str) -> None:
        """Take a server down and up again."""
        if Lie.REBOOT_IGNORED in self.lies:
            return
        self.down.add(server)
        self.changed()
        self.switch_on(server)

    def set_link(self, device: str, interface: str, *, up: bool) -> None:
        """Plug or unplug a cable."""
        cable = (device, interface)
        (self.claimed_cut.discard if up else self.claimed_cut.add)(cable)
        if up and Lie.NEVER_HEALS not in self.lies:
            self.cut.discard(cable)
        if not up and Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.cut.add(cable)
        self.changed()

    def block(self, server: str, addresses: Collection[Address]) -> None:
        """Drop packets between a server and these addresses; none lifts it."""
        lie = Lie.FAULT_WITHOUT_EFFECT if addresses else Lie.NEVER_HEALS
        if lie not in self.lies:
            self.blocked[server] = frozenset(addresses)
        self.changed()

    def changed(self) -> None:
        """Tell the observers that something is different now."""
        for observer in self.observers:
            observer()

    def sessions(self, device: str) -> tuple[SessionState, ...]:
        """Return what a device says of its sessions."""
        peers = self._model()[1].get(device, frozenset())
        return tuple(self._state(session, up=session.peer_device in peers) for session in self._spec(device))

    def routes(self, device: str) -> Routes:
        """Return the kernel table of a device."""
        routes = self._model()[0].get(device, {})
        width = 1 if Lie.NEXT_HOP_MISSING in self.lies and device == self._liar() else self.topology.routing.ecmp
        return {prefix: frozenset(sorted(hops)[:width]) for prefix, hops in routes.items()}

    def reaches(self, source: str, address: Address) -> bool:
        """Return whether packets from a device get to an address and back."""
        target = self._owner(address)
        if {source, target} & self.down or self._is_blocked(source, target):
            return False
        outside = {external.name for external in self.topology.externals}
        if target in outside and Lie.EXTERNAL_UNREACHABLE in self.lies:
            return False
        borders = tuple(router.name for router in self.topology.tier(Tier.BORDER))
        tables = borders if source in outside else (source,)
        return source == target or any(address in prefix for table in tables for prefix in self.routes(table))

    def serving(self, members: Collection[str]) -> frozenset[str]:
        """Return those of all members of a cluster that can serve: up, not cut off, and more than half."""
        group = frozenset(name for name in members if name not in self.down and not self.blocked.get(name))
        return group if 2 * len(group) > len(members) else frozenset()

    def _booted(self, device: str) -> None:
        if device not in self.boots:
            return
        if Lie.REBOOT_IGNORED not in self.lies:
            self.boots[device] += 1
        if Lie.DATA_LOST_BY_RESTART in self.lies:
            self.data.clear()

    def _state(self, session: Session, *, up: bool) -> SessionState:
        liar = session is next(iter(self._spec(self._liar())), None)
        established = up and not (liar and Lie.SESSION_DOWN in self.lies)
        bfd = established and not (liar and Lie.BFD_DOWN in self.lies)
        return SessionState(
            name=session.name,
            peer=session.peer,
            bgp="Established" if established else "Connect",
            bfd=None if self.topology.bfd_of(session) is None else "Up" if bfd else "Down",
        )

    def _liar(self) -> str:
        return self.topology.tier(Tier.TOR)[-1].name

    def _spec(self, device: str) -> tuple[Session, ...]:
        if device in self.boots:
            return self.topology.server(device).sessions
        return self.topology.router(device).sessions

    def _is_blocked(self, a: str, b: str) -> bool:
        return any(
            self._owner(address) == other
            for device, other in itertools.permutations((a, b))
            for address in self.blocked.get(device, ())
        )

    def _owner(self, address: Address) -> str:
        for name, addresses in self._addresses():
            if address in addresses:
                return name
        raise KeyError(f"nobody has the address {address}")

    def _addresses(self) -> Iterator[tuple[str, frozenset[Address]]]:
        for server in self.topology.servers:
            ports = (address for port in server.ports for address in port.addresses)
            yield server.name, frozenset(each.ip for each in (*server.nodes, *server.announces, *ports))
        for router in self.topology.routers:
            ends = (address for end in router.interfaces for address in end.addresses)
            yield router.name, frozenset(each.ip for each in (*router.loopbacks, *ends))
        for external in self.topology.externals:
            ends = (address for end in external.further for address in end.addresses)
            yield external.name, frozenset(each.ip for each in (*external.addresses, *ends))

    def _model(self) -> Model:
        state = (frozenset(self.down), frozenset(self.cut))
        if state not in self._models:
            routes = expected_routes(self.topology, down=self.down, cut=self.cut)
            sessions = expected_sessions(self.topology, down=self.down, cut=self.cut)
            self._models[state] = (dict(routes), dict(sessions))
        return self._models[state]


def addresses_in(text: str) -> frozenset[Address]:
    """Return every address that a text names, in no order that matters."""
    return frozenset(chain.from_iterable(map(_address, text.replace(",", " ").split())))


def _address(word: str) -> Iterator[Address]:
    with suppress(ValueError):
        yield ip_address(word)
