"""Faults of the power of devices: it goes, of one server or of all, or it is there and nothing is done with it."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from vdc.datacenter.api import DataCenter, Power, device_of
from vdc.datacenter.pace import lasting
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.errors import HarnessTimeout
from vdc.faults.base import Fault
from vdc.faults.feeds import Feed, all_devices, fed_by
from vdc.faults.selectors import rack
from vdc.faults.sight import expect_power, neighbours_back, neighbours_lost
from vdc.model.ip import Address
from vdc.model.topology import Tier
from vdc.wait import NotYet, wait_for

_LATE_SECONDS = 60.0  # that a switch may wait for a busy host


class _Dark(Fault):
    """Devices lose their power at once: no process, no memory, no carrier for their neighbours."""

    @abstractmethod
    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return them, in the order in which they get their power back."""

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there are none, or which is not there."""
        try:
            names = self.devices(dc)
        except KeyError as error:
            return str(error.args[0])
        unknown = [name for name in names if name not in dc.routers and name not in dc.servers]
        return f"there is no {', '.join(unknown)}" if unknown else None if names else "there is nothing to switch off"

    def silences(self, dc: DataCenter) -> Sequence[str]:
        """Return them."""
        return self.devices(dc)

    def inject(self, dc: DataCenter) -> None:
        """Cut the power."""
        for device in self.devices(dc):
            device_of(dc, device).power_off()

    def bites(self, dc: DataCenter) -> None:
        """They are off, and every router beside them has lost its sessions with them."""
        for device in self.devices(dc):
            expect_power(dc, device, Power.OFF)
        neighbours_lost(dc, self.devices(dc))

    def heal(self, dc: DataCenter) -> None:
        """Give the power back."""
        for device in self.devices(dc):
            device_of(dc, device).power_on()

    def healed(self, dc: DataCenter) -> None:
        """They are on, and every living neighbour has its sessions with them again."""
        for device in self.devices(dc):
            expect_power(dc, device, Power.ON)
        neighbours_back(dc, self.devices(dc))

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the servers among them, but those with an image of the user's: nobody can ask these."""
        servers = (name for name in self.devices(dc) if name in dc.servers)
        return tuple(name for name in servers if dc.topology.server(name).managed)


@dataclass(frozen=True, slots=True)
class ServersOff(_Dark):
    """Servers lose their power at once."""

    servers: tuple[str, ...]

    @property
    def name(self) -> str:
        """`SERVER, … off`."""
        return f"{', '.join(self.servers)} off"

    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return the servers."""
        return self.servers


@dataclass(frozen=True, slots=True)
class RackOff(_Dark):
    """A rack loses its power: its ToRs and its servers."""

    rack: int

    @property
    def name(self) -> str:
        """`rack N off`."""
        return f"rack {self.rack} off"

    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return everything in the rack, ToRs first."""
        return rack(dc, self.rack).devices


@dataclass(frozen=True, slots=True)
class FeedOff(_Dark):
    """One of the two power feeds (PDUs) of a rack fails, and with it every other of its ToRs and of its servers."""

    rack: int
    feed: Feed

    @property
    def name(self) -> str:
        """`feed A of rack N off`."""
        return f"feed {self.feed.upper()} of rack {self.rack} off"

    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return what hangs on the feed, ToRs first."""
        return fed_by(rack(dc, self.rack), self.feed)


@dataclass(frozen=True, slots=True)
class SiteDark(_Dark):
    """The whole site loses its power: every router and every server."""

    needs = "a client outside, which sees that nobody answers any more"

    @property
    def name(self) -> str:
        """`the site is dark`."""
        return "the site is dark"

    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return everything, from the outside in: routers, then servers."""
        return all_devices(dc.topology)

    def missing(self, dc: DataCenter) -> str | None:
        """Return that nobody would see it."""
        return None if dc.externals else "there is no client outside, and inside nobody is left to see it"

    def bites(self, dc: DataCenter) -> None:
        """Everything is off, and no server answers a client outside."""
        for device in self.devices(dc):
            expect_power(dc, device, Power.OFF)
        for client, address in product(dc.externals.values(), _innermost(dc)):
            expect_cut_off(client, address)

    def healed(self, dc: DataCenter) -> None:
        """All is on, every session is back, and what stands innermost answers the clients outside."""
        _Dark.healed(self, dc)
        for client, address in product(dc.externals.values(), _innermost(dc)):
            expect_reaches(client, address)


@dataclass(frozen=True, slots=True)
class PowerFlap(_Dark):
    """The power of servers goes and comes some times, at instants drawn from a seed, and is gone in the end."""

    servers: tuple[str, ...]
    times: int = 3
    within: float = 10.0
    """Seconds from the first loss of power to the last."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError: the power never comes back, or in no time."""
        if self.times < 2 or self.within <= 0:
            raise ValueError("power that flaps goes at least twice, within some time")

    @property
    def name(self) -> str:
        """`the power of SERVER, … flaps`."""
        return f"the power of {', '.join(self.servers)} flaps"

    def devices(self, dc: DataCenter) -> Sequence[str]:
        """Return the servers."""
        return self.servers

    def inject(self, dc: DataCenter) -> None:
        """Cut the power and give it back; the last time it is only cut.

        Raises HarnessTimeout: it did not go, or did not come, one of these times. Afterwards nobody could tell.
        """
        began = time.monotonic()
        for number, instant in enumerate(instants(self.times, lasting(dc, self.within), self.seed)):
            wait_until(began + instant)
            for device in self.servers:
                if number % 2 == 0:
                    dc.servers[device].power_off()
                else:
                    dc.servers[device].power_on()
                self._expect(dc, device, Power.OFF if number % 2 == 0 else Power.ON)

    def _expect(self, dc: DataCenter, device: str, wanted: Power) -> None:
        try:
            expect_power(dc, device, wanted)
        except NotYet as error:
            raise HarnessTimeout(f"{self.name} to bite", deadline=self.within, last=str(error)) from error


def instants(times: int, within: float, seed: int) -> tuple[float, ...]:
    """Return when, in seconds from the beginning, power that goes so many times goes and comes in turn: it goes first
    at 0 and last at `within`.
    """
    dice = Random(seed)
    return (0.0, *sorted(dice.uniform(0.0, within) for _ in range(2 * times - 3)), within)


def wait_until(instant: float) -> None:
    """Wait until an instant of the monotonic clock."""

    def due() -> None:
        if time.monotonic() < instant:
            raise NotYet("it is not time yet")

    left = max(0.0, instant - time.monotonic())
    wait_for(due, what="the power to flap", timeout=left + _LATE_SECONDS, interval=0.01)


def _innermost(dc: DataCenter) -> tuple[Address, ...]:
    """Return an address in each rack: of its first server, or where there are no servers of its ToRs."""
    servers = {server.rack: server.node.ip for server in reversed(dc.topology.members)}
    tors = tuple(router.loopbacks[0].ip for router in dc.topology.tier(Tier.TOR))
    return tuple(servers.values()) or tors
