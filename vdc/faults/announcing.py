"""Faults of what routers announce: a route withdrawn, or one that leads to somebody else (RFC 7908)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from vdc.datacenter.api import DataCenter, Power, Routes
from vdc.datacenter.convergence import route_differences
from vdc.faults.base import Fault
from vdc.model.announcing import NO_CHANGE, Change, altered, own
from vdc.model.ip import Address, Prefix
from vdc.model.routing import expected_routes
from vdc.model.topology import Topology
from vdc.wait import NotYet

Hops = frozenset[Address] | None


@dataclass(frozen=True, slots=True)
class _Announced(Fault):
    """A router announces what it should not, or does not announce what it should: others have other routes."""

    needs = "other routers whose routes follow from what the router announces"

    router: str
    prefix: Prefix

    @property
    @abstractmethod
    def change(self) -> Change:
        """What it announces."""

    def missing(self, dc: DataCenter) -> str | None:
        """Return that nobody would notice."""
        if self.router not in dc.routers:
            return f"there is no router {self.router}"
        if not self._deceived(dc):
            return f"no other router would have another route to {self.prefix}"
        return None

    def silences(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the device whose own address it is: nobody is told the way to it, or a wrong one."""
        own = [(each.name, each.loopback.ip) for each in dc.topology.routers]
        own += [(each.name, each.address) for each in dc.topology.members if each.address is not None]
        return tuple(name for name, address in own if self.prefix.num_addresses == 1 and address in self.prefix)

    def inject(self, dc: DataCenter) -> None:
        """Change what it announces."""
        dc.routers[self.router].announce(self.key, self.change)

    def bites(self, dc: DataCenter) -> None:
        """All who believe it have the routes in their kernel tables that follow from it."""
        self._expect(dc, {name: wrong for name, (_, wrong) in self._deceived(dc).items()})

    def heal(self, dc: DataCenter) -> None:
        """Let it announce what its topology says."""
        dc.routers[self.router].announce(self.key, NO_CHANGE)

    def healed(self, dc: DataCenter) -> None:
        """Those who believed it have the right routes in their kernel tables again."""
        self._expect(dc, {name: right for name, (right, _) in self._deceived(dc).items()})

    def _expect(self, dc: DataCenter, wanted: Mapping[str, Hops]) -> None:
        for name, hops in wanted.items():
            tables = (_table(self.prefix, each) for each in (hops, dc.routers[name].routes().get(self.prefix)))
            for wrong in route_differences(name, *tables, ecmp=dc.topology.routing.ecmp):
                raise NotYet(wrong)

    def _deceived(self, dc: DataCenter) -> Mapping[str, tuple[Hops, Hops]]:
        """Return the next hops to the prefix, right and wrong, of each router that has others because of this."""
        off = frozenset(name for name, each in dc.routers.items() if each.power() is not Power.ON)
        right = self._hops(dc.topology, off)
        wrong = self._hops(altered(dc.topology, {self.router: self.change}), off)
        ecmp = dc.topology.routing.ecmp
        return {name: (right[name], wrong[name]) for name in right if _told_apart(right[name], wrong[name], ecmp)}

    def _hops(self, topology: Topology, off: frozenset[str]) -> Mapping[str, Hops]:
        routes = expected_routes(topology, down=off)
        others = (each.name for each in topology.routers if each.name not in {*off, self.router})
        return {name: routes[name].get(self.prefix) for name in others}


@dataclass(frozen=True, slots=True)
class RouteWithdrawn(_Announced):
    """A router no longer announces a prefix of its own, though all is well with what is behind it."""

    @property
    def name(self) -> str:
        """`PREFIX withdrawn by ROUTER`."""
        return f"{self.prefix} withdrawn by {self.router}"

    @property
    def change(self) -> Change:
        """All but that."""
        return Change(less=(self.prefix,))

    def missing(self, dc: DataCenter) -> str | None:
        """Return that it is not its own, or that nobody would notice."""
        if self.router in dc.routers and self.prefix not in (mine := own(dc.topology.router(self.router))):
            return f"{self.router} announces {', '.join(map(str, mine)) or 'nothing'} of its own, not {self.prefix}"
        return _Announced.missing(self, dc)


@dataclass(frozen=True, slots=True)
class RouteHijacked(_Announced):
    """A router announces a prefix of somebody else, or a part of one, and loses what comes for it."""

    @property
    def name(self) -> str:
        """`PREFIX hijacked by ROUTER`."""
        return f"{self.prefix} hijacked by {self.router}"

    @property
    def change(self) -> Change:
        """That, too."""
        return Change(more=(self.prefix,))

    def missing(self, dc: DataCenter) -> str | None:
        """Return that it is its own, that it is nobody's, or that nobody would believe it."""
        if self.router not in dc.routers:
            return f"there is no router {self.router}"
        if self.prefix in own(dc.topology.router(self.router)):
            return f"{self.prefix} is its own"
        tables = expected_routes(dc.topology).values()
        if not any(_within(self.prefix, known) for table in tables for known in table):
            return f"nobody has {self.prefix}"
        return _Announced.missing(self, dc)


def _within(part: Prefix, whole: Prefix) -> bool:
    """Return whether a prefix is another, or a part of it; all is a part of the default route, which is nobody's."""
    if part.version != whole.version or not whole.prefixlen:
        return part == whole
    return part.prefixlen >= whole.prefixlen and part.network_address in whole


def _told_apart(right: Hops, wrong: Hops, ecmp: int) -> bool:
    """Return whether no table goes with both, where each has at most `ecmp` of the next hops."""
    if right is None or wrong is None:
        return right is not wrong
    sizes = {min(ecmp, len(right)), min(ecmp, len(wrong))}
    return len(sizes) > 1 or len(right & wrong) < min(sizes)


def _table(prefix: Prefix, hops: Hops) -> Routes:
    return {} if hops is None else {prefix: hops}
