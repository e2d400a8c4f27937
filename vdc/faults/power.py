"""Faults that take servers, or whole racks, away."""

from __future__ import annotations

from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Power, device_of
from vdc.faults.base import Fault
from vdc.faults.selectors import rack
from vdc.faults.sight import expect_power, neighbours_back, neighbours_lost, silent


@dataclass(frozen=True, slots=True)
class ServerCrash(Fault):
    """The kernel of a server panics; its machine stays powered and does nothing any more."""

    server: str

    @property
    def name(self) -> str:
        """`SERVER crashed`."""
        return f"{self.server} crashed"

    def inject(self, dc: DataCenter) -> None:
        """Panic the kernel."""
        dc.servers[self.server].crash()

    def bites(self, dc: DataCenter) -> None:
        """The guest agent is silent, and every ToR has lost its session with the server."""
        silent(dc, self.server)
        neighbours_lost(dc, (self.server,))

    def heal(self, dc: DataCenter) -> None:
        """Press the reset button."""
        dc.servers[self.server].reset()

    def healed(self, dc: DataCenter) -> None:
        """Every ToR has its session with the server again."""
        neighbours_back(dc, (self.server,))

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)


@dataclass(frozen=True, slots=True)
class RackOff(Fault):
    """A rack loses its power: its ToRs and its servers."""

    rack: int

    @property
    def name(self) -> str:
        """`rack N off`."""
        return f"rack {self.rack} off"

    def inject(self, dc: DataCenter) -> None:
        """Cut the power of everything in the rack."""
        for device in self._devices(dc):
            _switch(dc, device, Power.OFF)

    def bites(self, dc: DataCenter) -> None:
        """Everything is off, and every router outside has lost its sessions with the rack."""
        for device in self._devices(dc):
            expect_power(dc, device, Power.OFF)
        neighbours_lost(dc, self._devices(dc))

    def heal(self, dc: DataCenter) -> None:
        """Give the power back, to the ToRs first."""
        for device in self._devices(dc):
            _switch(dc, device, Power.ON)

    def healed(self, dc: DataCenter) -> None:
        """Everything is on, and every router has its sessions with the rack again."""
        for device in self._devices(dc):
            expect_power(dc, device, Power.ON)
        neighbours_back(dc, self._devices(dc))

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the servers of the rack, but those with an image of the user's: nobody can ask these."""
        return tuple(name for name in rack(dc, self.rack).servers if dc.topology.server(name).managed)

    def _devices(self, dc: DataCenter) -> tuple[str, ...]:
        return rack(dc, self.rack).devices


def _switch(dc: DataCenter, device: str, power: Power) -> None:
    target = device_of(dc, device)
    if power is Power.ON:
        target.power_on()
    else:
        target.power_off()
