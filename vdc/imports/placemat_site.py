"""What placemat's resources come to as a whole: names, networks and their prefixes, links, the way outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_interface
from pathlib import PurePosixPath
from typing import Final

from vdc.imports.draft import Draft
from vdc.imports.formats import Resource, Resources
from vdc.imports.placemat_format import App, Network, NetworkNamespace, Node
from vdc.imports.units import plain_name
from vdc.model import addressing
from vdc.model.checks.names import RESERVED
from vdc.model.ip import Interface, Prefix
from vdc.model.topology import Tier

LONGEST: Final = addressing.IFNAMSIZ - len(".10")
"""The longest name of a device, in characters: its taps have it, a dot and a number."""

_BIRD: Final = ("bird", "bird6")
_WIDEST: Final = 12
"""The shortest prefix, in bits, that is taken for the addresses of links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A network that two routers have for themselves: the `late` one names the link."""

    early: str
    late: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """The resources, and what they are called here."""

    found: Resources
    networks: Mapping[str, str]
    devices: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, found: Resources, draft: Draft) -> Site:
        """Name everything; what gets another name than it had is told."""
        taken = set(RESERVED)
        outside = _outside(found)
        networks = {
            each.spec.name: addressing.EXTERNAL
            if each.spec.name == outside
            else _named(draft, each, taken, addressing.IFNAMSIZ)
            for each in found.of(Network)
        }
        hosts: list[Resource[Node] | Resource[NetworkNamespace]] = [*found.of(Node), *found.of(NetworkNamespace)]
        devices: dict[tuple[str, str], str] = {}
        for each in hosts:
            devices[each.spec.kind, each.spec.name] = _named(draft, each, taken, LONGEST)
        return cls(found=found, networks=networks, devices=devices)

    @property
    def namespaces(self) -> tuple[Resource[NetworkNamespace], ...]:
        """The network namespaces."""
        return self.found.of(NetworkNamespace)

    def name_of(self, namespace: str) -> str:
        """Return what a namespace is called here."""
        return self.devices["NetworkNamespace", namespace]

    @cached_property
    def outside(self) -> str | None:
        """The network behind NAT, if there is one that a border can stand for."""
        return _outside(self.found)

    @cached_property
    def wires(self) -> Mapping[str, Wire]:
        """The networks that are links here: those that two routers have for themselves."""
        ports: dict[str, list[str]] = {}
        for namespace in (each.spec for each in self.namespaces):
            for interface in namespace.interfaces:
                ports.setdefault(interface.network, []).append(namespace.name if runs_bird(namespace) else "")
        for name in (name for node in self.found.of(Node) for name in node.spec.interfaces):
            ports.setdefault(name, []).append("")
        wires: dict[str, Wire] = {}
        for network in (each.spec for each in self.found.of(Network) if each.spec.type == "internal"):
            ends = ports.get(network.name, [])
            if len(ends) == 2 and "" not in ends and ends[0] != ends[1]:
                wire = Wire(early=ends[0], late=ends[1])
                if wire not in wires.values():
                    wires[network.name] = wire
        return wires

    def prefixes(self, network: str) -> tuple[Prefix, ...]:
        """Return the prefixes of a network: of each family the first in which there is room for two."""
        found: dict[int, Prefix] = {}
        for address in self._addresses(network):
            if address.network.num_addresses > 2:
                found.setdefault(address.version, address.network)
        return tuple(found.values())

    @cached_property
    def all_prefixes(self) -> tuple[Prefix, ...]:
        """The prefixes of all networks that are not links."""
        return tuple(prefix for name in self.networks if name not in self.wires for prefix in self.prefixes(name))

    @cached_property
    def versions(self) -> frozenset[int]:
        """The IP versions of all addresses."""
        return frozenset(address.version for name in self.networks for address in self._addresses(name))

    @cached_property
    def link_pool(self) -> Prefix | None:
        """A prefix that has most of the links' addresses, nothing else, and room for the links of every router."""
        own = [address for name in self.wires for address in self._addresses(name) if address.version == 4]
        pools = [wide for address in own if (wide := _widened(address.network, self.all_prefixes)) is not None]
        best = max(pools, key=lambda pool: sum(address.ip in pool for address in own), default=None)
        return best if best is not None and addressing.link_capacity(best) >= self._link_room() else None

    def _link_room(self) -> int:
        wires = [wire.late for wire in self.wires.values()]
        room = addressing.block(max(map(wires.count, wires), default=1), addressing.LEAST_UPLINKS)
        return room * len(Tier) * (1 + len(self.namespaces))

    def _addresses(self, network: str) -> Iterator[Interface]:
        """Yield the addresses on a network: the host's, then the others in their order."""
        for each in self.found.of(Network):
            if each.spec.name == network and each.spec.address:
                yield ip_interface(each.spec.address)
        for namespace in self.namespaces:
            for interface in namespace.spec.interfaces:
                yield from (ip_interface(text) for text in interface.addresses if interface.network == network)


def runs_bird(namespace: NetworkNamespace) -> bool:
    """Return whether a namespace is a router."""
    return any(map(is_bird, namespace.apps))


def is_bird(app: App) -> bool:
    """Return whether an app is BIRD."""
    return PurePosixPath(app.command[0]).name in _BIRD


def _outside(found: Resources) -> str | None:
    """Return the first network behind NAT on which the host has the address that a border would have."""
    for spec in (each.spec for each in found.of(Network)):
        host = ip_interface(spec.address) if spec.use_nat and spec.address else None
        if host is not None and host.version == 4 and host == addressing.port(host.network, 1):
            return spec.name
    return None


def _widened(prefix: Prefix, others: Iterable[Prefix]) -> Prefix | None:
    """Return the widest prefix around one that overlaps with none of the others."""
    others = [other for other in others if other.version == prefix.version]
    found = None
    while prefix.prefixlen >= _WIDEST and not any(prefix.overlaps(other) for other in others):
        found = prefix
        prefix = prefix.supernet()
    return found


def _named(
    draft: Draft, each: Resource[Network] | Resource[Node] | Resource[NetworkNamespace], taken: set[str], longest: int
) -> str:
    name = plain_name(each.spec.name, taken, longest=longest)
    taken.add(name)
    if name != each.spec.name:
        draft.differs(each.document, ("name",), f'is "{name}" here')
    draft.comes_from(("networks" if isinstance(each.spec, Network) else "devices", name), each.document)
    return name
