"""Faults of routers."""

from __future__ import annotations

from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Power
from vdc.faults.base import Fault
from vdc.faults.sight import expect_power, neighbours_back, neighbours_lost, nobody_beside


@dataclass(frozen=True, slots=True)
class RoutersOff(Fault):
    """Routers lose their power at once: no process, no carrier for their neighbours."""

    needs = "routers, and others beside them"

    routers: tuple[str, ...]

    @property
    def name(self) -> str:
        """`ROUTER, … off`."""
        return f"{', '.join(self.routers)} off"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such router, or nobody beside them who would notice."""
        return nobody_beside(dc, self.routers)

    def silences(self, dc: DataCenter) -> tuple[str, ...]:
        """Return them."""
        return self.routers

    def inject(self, dc: DataCenter) -> None:
        """Cut the power."""
        for router in self.routers:
            dc.routers[router].power_off()

    def bites(self, dc: DataCenter) -> None:
        """They are off, and every router beside them has lost its sessions with them."""
        for router in self.routers:
            expect_power(dc, router, Power.OFF)
        neighbours_lost(dc, self.routers)

    def heal(self, dc: DataCenter) -> None:
        """Give the power back."""
        for router in self.routers:
            dc.routers[router].power_on()

    def healed(self, dc: DataCenter) -> None:
        """They are on, and every living neighbour has its sessions with them again."""
        for router in self.routers:
            expect_power(dc, router, Power.ON)
        neighbours_back(dc, self.routers)


def RouterOff(router: str) -> RoutersOff:  # noqa: N802 - reads as the fault it makes
    """Return the fault in which one router loses its power."""
    return RoutersOff((router,))
