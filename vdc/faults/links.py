"""Faults of cables."""

from __future__ import annotations

from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Machine, Router
from vdc.datacenter.convergence import sessions_of
from vdc.faults.base import Fault
from vdc.faults.sight import reverse, session_back, session_lost
from vdc.model.topology import Session
from vdc.wait import NotYet


@dataclass(frozen=True, slots=True)
class LinkCut(Fault):
    """The cable of one interface of a server or a router is pulled out."""

    device: str
    interface: str

    @property
    def name(self) -> str:
        """`DEVICE INTERFACE unplugged`."""
        return f"{self.device} {self.interface} unplugged"

    def inject(self, dc: DataCenter) -> None:
        """Pull the cable."""
        _end(dc, self.device).set_link(self.interface, up=False)

    def bites(self, dc: DataCenter) -> None:
        """The carrier is gone, and the device at the far end has lost the session over the cable."""
        if _end(dc, self.device).link_is_up(self.interface):
            raise NotYet(f"{self.device} {self.interface} still has a carrier")
        for session in self._sessions(dc):
            session_lost(dc, reverse(dc, session))

    def heal(self, dc: DataCenter) -> None:
        """Plug the cable in again."""
        _end(dc, self.device).set_link(self.interface, up=True)

    def healed(self, dc: DataCenter) -> None:
        """The carrier is back, and so is the session at both its ends."""
        if not _end(dc, self.device).link_is_up(self.interface):
            raise NotYet(f"{self.device} {self.interface} has no carrier")
        for session in self._sessions(dc):
            session_back(dc, reverse(dc, session))
            session_back(dc, session)

    def _sessions(self, dc: DataCenter) -> tuple[Session, ...]:
        found = tuple(s for s in sessions_of(dc, self.device) if s.interface == self.interface)
        assert found, f"{self.device} has no session over {self.interface}"
        return found


def _end(dc: DataCenter, device: str) -> Machine | Router:
    return dc.routers[device] if device in dc.routers else dc.servers[device]
