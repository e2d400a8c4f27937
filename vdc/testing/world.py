"""The state behind the fakes: what is on, plugged and blocked, and what follows. Simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

from vdc.datacenter.api import Power, Routes, SessionState
from vdc.datacenter.disks import Operation
from vdc.model.announcing import Change, altered, together
from vdc.model.disturbance import Disturbance
from vdc.model.ip import Address
from vdc.model.routing import expected_routes, expected_sessions
from vdc.model.topology import Session, Tier, Topology
from vdc.rolling.boots import End
from vdc.shell import Completed
from vdc.testing.birds import Birds
from vdc.testing.flashes import Flashes
from vdc.testing.inside import Insides
from vdc.testing.installed import Installed
from vdc.testing.journals import Journals
from vdc.testing.lies import Lie
from vdc.testing.local_files import LocalFiles

if TYPE_CHECKING:
    from vdc.testing.disks import Ailment

T = TypeVar("T")
Model = tuple[dict[str, Routes], dict[str, frozenset[str]]]

PULLED: Final = "pulled"
"""What ails a disk that was pulled out; a server that starts from cold has it again."""


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
        self.paused: set[str] = set()
        self.cut: set[tuple[str, str]] = set()
        self.blocked: dict[str, frozenset[Address]] = {}
        self.lost: dict[tuple[str, str], frozenset[Address]] = {}
        self.flips = 0
        self.silent: set[str] = set()
        self.shut: set[tuple[str, str]] = set()
        self.announced: dict[str, dict[str, Change]] = {}
        self.inside = Insides(lambda: self.lies, self.changed)
        self.wires: dict[tuple[str, str], dict[str, tuple[Disturbance, Disturbance]]] = {}
        self.disks: dict[tuple[str, str], dict[str, Ailment]] = {}
        self.boots = {server.name: 1 for server in topology.servers}
        self.reimaged: set[str] = set()
        self.releases = {server.name: topology.release for server in topology.servers}
        self.data: dict[str, str] = {}
        self.strangers: set[str] = set()
        self.smashed: set[str] = set()
        self.observers: list[Callable[[], None]] = []
        self.files = LocalFiles(lambda: self.lies)
        self.journals = Journals(lambda: self.lies, self.boot_id)
        self.journals.ended = self.files.lose
        self.programs: dict[str, Callable[[str, tuple[str, ...]], Completed]] = {
            "journalctl": self.journals.run,
            "sync": self.journals.run,
            "dmesg": self.journals.dmesg,
            "dd": self._smash,
            "sh": self.files.run,
        }
        self.installed = Installed(self)
        self.flashes = Flashes([server.name for server in topology.servers], lambda: self.lies)
        self.inserted: dict[str, str] = {}
        self.snatched: set[str] = set()
        self.interrupts: list[Callable[[str], None]] = []
        routers = [router.name for router in topology.routers]
        self.birds = Birds(routers, lambda: self.lies, liar=topology.tier(Tier.TOR)[0].name)
        self._models: dict[object, Model] = {}

    def boot_id(self, server: str) -> str:
        """Return what tells a boot of a server from others."""
        return f"{server}-boot-{self.boots[server]}"

    def switch_off(self, device: str) -> None:
        """Cut the power of a device."""
        self.claimed_power[device] = Power.OFF
        self.paused.discard(device)
        if Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.down.add(device)
        self.changed()

    def switch_on(self, device: str) -> None:
        """Give a device power; one that was down starts afresh."""
        self.claimed_power[device] = Power.ON
        if device in self.smashed:
            self.claimed_power[device] = Power.PAUSED
        elif device in self.down and Lie.NEVER_HEALS not in self.lies:
            self.down.discard(device)
            if device not in self.paused:
                self._booted(device)
        self.paused.discard(device)
        self.changed()

    def crash(self, server: str) -> None:
        """Stop a server that stays powered."""
        if Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.down.add(server)
        self.changed()

    def halt(self, server: str, *, forgets: bool) -> None:
        """Let a server stand still, until it gets power; one that forgets starts afresh then."""
        self.claimed_power[server] = Power.PAUSED
        if not forgets:
            self.paused.add(server)
        self.crash(server)

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
        before = cable in self.cut
        if up and Lie.NEVER_HEALS not in self.lies:
            self.cut.discard(cable)
        if not up and Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.cut.add(cable)
        self.flips += before is not (cable in self.cut)
        self.changed()

    def block(self, server: str, addresses: Collection[Address]) -> None:
        """Drop packets between a server and these addresses; none lifts it."""
        lie = Lie.FAULT_WITHOUT_EFFECT if addresses else Lie.NEVER_HEALS
        if lie not in self.lies:
            self.blocked[server] = frozenset(addresses)
        self.changed()

    def lose(self, key: str, device: str, addresses: Collection[Address]) -> None:
        """Lose what a device sends to these addresses; none undoes what the key did."""
        lie = Lie.FAULT_WITHOUT_EFFECT if addresses else Lie.NEVER_HEALS
        if lie not in self.lies:
            self.lost[key, device] = frozenset(addresses)
        self.changed()

    def hears(self, source: str, target: str) -> bool:
        """Return whether packets of a device come to another, whatever becomes of the answer."""
        if {source, target} & self.down:
            return False
        return not self._is_lost(source, target) and not self._is_blocked(source, target)

    def silence(self, router: str, *, silent: bool) -> None:
        """Take the BIRD of a router away, or let it go on."""
        self._break(self.silent, router, broken=silent)

    def shut_session(self, device: str, interface: str, *, shut: bool) -> None:
        """Shut the session over a cable, or open it."""
        self._break(self.shut, (device, interface), broken=shut)

    def announce(self, router: str, key: str, change: Change) -> None:
        """Let a router announce more or less; an empty change undoes it."""
        if (Lie.FAULT_WITHOUT_EFFECT if change else Lie.NEVER_HEALS) not in self.lies:
            self.announced.setdefault(router, {})[key] = change
        self.changed()

    def _break(self, what: set[T], each: T, *, broken: bool) -> None:
        """Break something, or mend it, unless that is a lie."""
        if broken and Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            what.add(each)
        if not broken and Lie.NEVER_HEALS not in self.lies:
            what.discard(each)
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
        if not (self.hears(source, target) and self.hears(target, source)):
            return False
        outside = {external.name for external in self.topology.externals}
        if target in outside and Lie.EXTERNAL_UNREACHABLE in self.lies:
            return False
        borders = tuple(router.name for router in self.topology.tier(Tier.BORDER))
        tables = borders if source in outside else (source,)
        return source == target or any(address in prefix for table in tables for prefix in self.routes(table))

    def serving(self, members: Collection[str]) -> frozenset[str]:
        """Return those of all members of a cluster that can serve: up, not cut off, and more than half."""
        parted = {device for (_, device), addresses in self.lost.items() if addresses}
        away = {name for name in members if self.blocked.get(name) or self._hijacked(name) or self._ailing(name)}
        away |= parted | self.strangers
        away |= self.inside.without("etcd")
        group = frozenset(name for name in members if name not in self.down | away)
        return group if 2 * len(group) > len(members) else frozenset()

    def _ailing(self, server: str) -> bool:
        """Return whether a disk of a server takes no writes; members write nothing to the root disk."""
        struck = (found for (owner, disk), found in self.disks.items() if owner == server and disk != "root")
        return any(each.failing - {Operation.READ} for ailments in struck for each in ailments.values())

    def _hijacked(self, server: str) -> bool:
        claimed = {prefix for each in self.announced.values() for change in each.values() for prefix in change.more}
        return any(node.network in claimed for node in self.topology.server(server).nodes)

    def _booted(self, device: str) -> None:
        if device not in self.boots:
            return
        for (server, _), ailments in self.disks.items():
            if server == device:
                ailments.pop(PULLED, None)
        self.flashes.booted(device)
        if Lie.REBOOT_IGNORED not in self.lies:
            self._next_boot(device)
            self._take_others_along(device)
        if Lie.DATA_LOST_BY_RESTART in self.lies:
            self.data.clear()

    def _smash(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Destroy a root disk, as dd(1) does: its server runs until it restarts."""
        if "of=/dev/vda" in argv and Lie.FAULT_WITHOUT_EFFECT not in self.lies:
            self.smashed.add(server)
        return Completed(argv=argv, status=0, stdout="", stderr="")

    def _next_boot(self, server: str) -> None:
        for _ in range(2 if Lie.REBOOTED_TWICE in self.lies else 1):
            self.boots[server] += 1
            self.journals.begins(server)

    def _take_others_along(self, server: str) -> None:
        if Lie.OTHERS_RESTART in self.lies:
            other = next(name for name in self.boots if name != server)
            self.journals.ends(other, End.RESTART)
            self._next_boot(other)

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

    def _is_lost(self, source: str, target: str) -> bool:
        """Return whether all is lost that a device sends to another."""
        return any(
            device == source and any(self._owner(address) == target for address in addresses)
            for (_, device), addresses in self.lost.items()
        )

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

    def _deaf(self) -> set[tuple[str, str]]:
        """Return the cables that lose all packets of a direction: no session lasts over them."""
        return {
            place for place, ways in self.wires.items() if any(way.loss == 1 for both in ways.values() for way in both)
        }

    def _model(self) -> Model:
        changes = {router: together(each.values()) for router, each in self.announced.items()}
        mute, cut = self.down | self.silent | self.inside.without("bird"), self.cut | self.shut | self._deaf()
        state = (frozenset(self.down), frozenset(mute), frozenset(cut), str(changes))
        if state not in self._models:
            kept = self.topology.routing.graceful_restart
            routes = expected_routes(altered(self.topology, changes), down=self.down if kept else mute, cut=cut)
            sessions = expected_sessions(self.topology, down=mute, cut=cut)
            self._models[state] = (dict(routes), dict(sessions))
        return self._models[state]


def addresses_in(text: str) -> frozenset[Address]:
    """Return every address that a text names, in no order that matters."""
    return frozenset(chain.from_iterable(map(_address, text.replace(",", " ").split())))


def _address(word: str) -> Iterator[Address]:
    with suppress(ValueError):
        yield ip_address(word)
