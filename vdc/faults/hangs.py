"""Faults in which a server has power and does nothing: it crashed, hangs, or is held in reset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.faults import clocks
from vdc.faults.base import Fault
from vdc.faults.sight import expect_power, neighbours_back, neighbours_lost, silent


class _Hang(Fault):
    """Servers go silent with the power on, all at once."""

    needs = "servers that run a release of ours, beside routers that have sessions with them"

    @abstractmethod
    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return the servers."""

    @abstractmethod
    def strike(self, machine: Machine) -> None:
        """Silence one."""

    def missing(self, dc: DataCenter) -> str | None:
        """Return which is not there, or cannot be asked whether it is silent."""
        if not self.struck(dc):
            return "there is no server to strike"
        for name in self.struck(dc):
            if name not in dc.servers:
                return f"there is no server {name}"
            if not dc.topology.server(name).managed:
                return f"{name} has an image of the user's: nobody can ask it"
        return None

    def silences(self, dc: DataCenter) -> Sequence[str]:
        """Return them."""
        return self.struck(dc)

    def inject(self, dc: DataCenter) -> None:
        """Silence them."""
        for name in self.struck(dc):
            self.strike(dc.servers[name])

    def bites(self, dc: DataCenter) -> None:
        """Their guest agents are silent, and every ToR has lost its sessions with them."""
        for name in self.struck(dc):
            silent(dc, name)
        neighbours_lost(dc, self.struck(dc))

    def healed(self, dc: DataCenter) -> None:
        """Every ToR has its sessions with them again."""
        for name in self.struck(dc):
            expect_power(dc, name, Power.ON)
        neighbours_back(dc, self.struck(dc))


@dataclass(frozen=True, slots=True)
class ServerCrash(_Hang):
    """The kernel of a server panics; its machine stays powered and does nothing any more."""

    server: str

    @property
    def name(self) -> str:
        """`SERVER crashed`."""
        return f"{self.server} crashed"

    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return the server."""
        return (self.server,)

    def strike(self, machine: Machine) -> None:
        """Panic the kernel."""
        machine.crash()

    def heal(self, dc: DataCenter) -> None:
        """Press the reset button."""
        start_anew(dc.servers[self.server])

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)


@dataclass(frozen=True, slots=True)
class NmiPanic(_Hang):
    """A server gets an NMI of unknown reason, as from a watchdog or a broken board; its kernel is set to panic then."""

    server: str

    @property
    def name(self) -> str:
        """`SERVER panicked by NMI`."""
        return f"{self.server} panicked by NMI"

    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return the server."""
        return (self.server,)

    def strike(self, machine: Machine) -> None:
        """Send it."""
        machine.send_nmi()

    def heal(self, dc: DataCenter) -> None:
        """Press the reset button."""
        start_anew(dc.servers[self.server])

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)


@dataclass(frozen=True, slots=True)
class ServerPaused(_Hang):
    """A server stands still, and goes on later as if no time had passed: its memory is kept."""

    server: str

    @property
    def name(self) -> str:
        """`SERVER hangs`."""
        return f"{self.server} hangs"

    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return the server."""
        return (self.server,)

    def strike(self, machine: Machine) -> None:
        """Let it stand still."""
        machine.pause()

    def heal(self, dc: DataCenter) -> None:
        """Let it go on, and set its clock: it stood still too."""
        dc.servers[self.server].power_on()
        dc.servers[self.server].wait_answering()
        clocks.put_right(dc, self.server)

    def healed(self, dc: DataCenter) -> None:
        """Every ToR has its sessions with it again, and it knows what time it is."""
        _Hang.healed(self, dc)
        clocks.expect_ahead(dc, self.server, 0.0)


def start_anew(machine: Machine) -> None:
    """Press the reset button; or the power button of a server that is off."""
    if machine.power() is Power.OFF:
        machine.power_on()
    else:
        machine.reset()


class _Reset(_Hang):
    """The reset buttons of servers are pressed and held: all they had in memory is gone, and they boot when let go."""

    def strike(self, machine: Machine) -> None:
        """Press the button."""
        machine.hold_reset()

    def heal(self, dc: DataCenter) -> None:
        """Let the buttons go, one right after the other."""
        for name in self.struck(dc):
            dc.servers[name].power_on()

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the servers."""
        return tuple(self.struck(dc))


@dataclass(frozen=True, slots=True)
class ServersReset(_Reset):
    """Servers are reset, and held so: all they had in memory is gone, and they boot when let go."""

    servers: tuple[str, ...]

    @property
    def name(self) -> str:
        """`SERVER, … held in reset`."""
        return f"{', '.join(self.servers)} held in reset"

    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return the servers."""
        return self.servers


@dataclass(frozen=True, slots=True)
class BootStorm(_Reset):
    """Every server in a rack is reset, and when it ends all boot at the same time."""

    @property
    def name(self) -> str:
        """`boot storm`."""
        return "boot storm"

    def struck(self, dc: DataCenter) -> Sequence[str]:
        """Return all servers of racks that run a release of ours."""
        return tuple(server.name for server in dc.topology.members)
