"""Faults of what routers run and say: BIRD killed or frozen, sessions shut, a restart that forgets nothing."""

from __future__ import annotations

from dataclasses import dataclass

from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import sessions_of
from vdc.faults.base import Fault
from vdc.faults.sight import neighbours_back, neighbours_lost, nobody_beside, reverse, session_back, session_lost
from vdc.model.topology import Session
from vdc.wait import NotYet


@dataclass(frozen=True, slots=True)
class _BirdSilent(Fault):
    """The routing daemons of routers say nothing any more; cables and power stay."""

    needs = "routers beside them, to notice"

    routers: tuple[str, ...]

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such router, or nobody beside them."""
        return nobody_beside(dc, self.routers)

    def silences(self, dc: DataCenter) -> tuple[str, ...]:
        """Return them: nobody is told the way to them."""
        return self.routers

    def bites(self, dc: DataCenter) -> None:
        """Every router beside them has lost its sessions with them."""
        neighbours_lost(dc, self.routers)

    def heal(self, dc: DataCenter) -> None:
        """Let them go on, or start them."""
        for router in self.routers:
            dc.routers[router].start_bird()

    def healed(self, dc: DataCenter) -> None:
        """Every neighbour has its sessions with them again, and they have theirs."""
        neighbours_back(dc, self.routers)


@dataclass(frozen=True, slots=True)
class BirdKilled(_BirdSilent):
    """The routing daemons of routers are killed at once, and nobody starts them again; cables and power stay."""

    @property
    def name(self) -> str:
        """`BIRD of ROUTER, … killed`."""
        return f"BIRD of {', '.join(self.routers)} killed"

    def inject(self, dc: DataCenter) -> None:
        """Kill them."""
        for router in self.routers:
            dc.routers[router].kill_bird()


@dataclass(frozen=True, slots=True)
class BirdFrozen(_BirdSilent):
    """The routing daemons of routers hang (SIGSTOP): connections stay open, and nothing is said over them.

    Neighbours find out by BFD (RFC 5880), or where there is none by the hold time (RFC 4271, 4.2).
    """

    @property
    def name(self) -> str:
        """`BIRD of ROUTER, … frozen`."""
        return f"BIRD of {', '.join(self.routers)} frozen"

    def inject(self, dc: DataCenter) -> None:
        """Stop them where they are."""
        for router in self.routers:
            dc.routers[router].freeze_bird()


@dataclass(frozen=True, slots=True)
class GracefulRestart(Fault):
    """The routing daemon of a router is gone for a while, as in an upgrade; no packet is lost (RFC 4724).

    Its kernel goes on forwarding, its neighbours keep its routes for a time, and it comes back with its kernel's.
    """

    needs = "`routing: {graceful_restart: true}` in the topology"

    router: str

    @property
    def name(self) -> str:
        """`BIRD of ROUTER restarting gracefully`."""
        return f"BIRD of {self.router} restarting gracefully"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such router, nobody beside it, or that it restarts in another way."""
        if not dc.topology.routing.graceful_restart:
            return "the topology has no graceful restart"
        return nobody_beside(dc, (self.router,))

    def inject(self, dc: DataCenter) -> None:
        """Kill it: what is shut down in order says goodbye."""
        dc.routers[self.router].kill_bird()

    def bites(self, dc: DataCenter) -> None:
        """Its neighbours have no session with it, and still send packets over it."""
        neighbours_lost(dc, (self.router,))
        self._expect_used(dc)

    def heal(self, dc: DataCenter) -> None:
        """Start it, with the routes that its kernel has."""
        dc.routers[self.router].start_bird()

    def healed(self, dc: DataCenter) -> None:
        """Its neighbours have their sessions with it again, and send packets over it."""
        neighbours_back(dc, (self.router,))
        self._expect_used(dc)

    def _expect_used(self, dc: DataCenter) -> None:
        for name, hops in _next_hops(dc, self.router).items():
            if not any(hops & found for found in dc.routers[name].routes().values()):
                raise NotYet(f"{name} has no route over {self.router}")


@dataclass(frozen=True, slots=True)
class SessionShut(Fault):
    """A router shuts the BGP session with a neighbour, as an administrator does; the cable between them stays."""

    needs = "a router that has a session with the peer"

    router: str
    peer: str

    @property
    def name(self) -> str:
        """`session of ROUTER with PEER shut`."""
        return f"session of {self.router} with {self.peer} shut"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such session."""
        if self.router not in dc.routers:
            return f"there is no router {self.router}"
        if not any(each.peer_device == self.peer for each in sessions_of(dc, self.router)):
            return f"{self.router} has no session with {self.peer}"
        return None

    def inject(self, dc: DataCenter) -> None:
        """Shut it."""
        dc.routers[self.router].set_session(self._session(dc), up=False)

    def bites(self, dc: DataCenter) -> None:
        """The peer has lost it, though its cable is plugged in."""
        session_lost(dc, reverse(dc, self._session(dc)))

    def heal(self, dc: DataCenter) -> None:
        """Open it again."""
        dc.routers[self.router].set_session(self._session(dc), up=True)

    def healed(self, dc: DataCenter) -> None:
        """Both ends have it."""
        session_back(dc, reverse(dc, self._session(dc)))
        session_back(dc, self._session(dc))

    def _session(self, dc: DataCenter) -> Session:
        return next(each for each in sessions_of(dc, self.router) if each.peer_device == self.peer)


def _next_hops(dc: DataCenter, router: str) -> dict[str, frozenset[object]]:
    """Return, of each router beside one, the addresses by which it sends packets to that."""
    return {
        each.device: frozenset(each.next_hops or (each.peer,))
        for neighbour in dc.topology.routers
        for each in neighbour.sessions
        if each.peer_device == router
    }
