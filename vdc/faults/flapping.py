"""A cable that comes and goes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, device_of
from vdc.datacenter.convergence import sessions_of
from vdc.datacenter.pace import lasting
from vdc.errors import HarnessTimeout
from vdc.faults.links import LinkCut
from vdc.faults.power import instants, wait_until
from vdc.faults.sight import reverse


@dataclass(frozen=True, slots=True)
class LinkFlap(LinkCut):
    """A cable loses its carrier and gets it back some times, at instants drawn from a seed, and is out in the end.

    Each loss begins anew what neighbours do about it. Between routers the far end counts them.
    """

    times: int = 3
    within: float = 3.0
    """Seconds from the first loss of the carrier to the last."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError: it never comes back, or in no time."""
        if self.times < 2 or self.within <= 0:
            raise ValueError("a cable that flaps goes at least twice, within some time")

    @property
    def name(self) -> str:
        """`DEVICE INTERFACE flaps`."""
        return f"{self.device} {self.interface} flaps"

    def inject(self, dc: DataCenter) -> None:
        """Pull the cable and plug it in; the last time it is only pulled.

        Raises HarnessTimeout: the far end has not seen all of that.
        """
        before = self._counted(dc)
        device, began = device_of(dc, self.device), time.monotonic()
        wanted = instants(self.times, lasting(dc, self.within), self.seed)
        for number, instant in enumerate(wanted):
            wait_until(began + instant)
            device.set_link(self.interface, up=number % 2 == 1)
        for (router, interface), count in self._counted(dc).items():
            seen = count - before[router, interface]
            if seen < len(wanted):
                raise HarnessTimeout(
                    f"{self.name} to bite",
                    deadline=self.within,
                    last=f"{router} {interface} saw its carrier change {seen} times, expected {len(wanted)}",
                )

    def _counted(self, dc: DataCenter) -> dict[tuple[str, str], int]:
        """Return how often the far end's carrier has changed, if that is a router at the other end of a link."""
        if self.device not in dc.routers:
            return {}
        ends = (reverse(dc, each) for each in sessions_of(dc, self.device) if each.interface == self.interface)
        return {
            (each.device, each.interface): dc.routers[each.device].carrier_changes(each.interface)
            for each in ends
            if each.device in dc.routers
        }
