"""What a picture shows, whatever it is drawn with: devices in tiers, racks and pods, networks, wires between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["border", "superspine", "spine", "tor", "router", "server", "client", "internet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A device, or `count` equal servers of a rack.

    `short` is its name where its rack is plain, `facts` stand below its name, `details` is all that is known of it.
    `group` is a server's role; `addresses` are one for each family, or ranges.
    """

    name: str
    short: str
    kind: Kind
    asn: str = ""
    addresses: tuple[str, ...] = ()
    hardware: str = ""
    details: str = ""
    group: str = ""
    count: int = 1

    @property
    def facts(self) -> tuple[str, ...]:
        """What stands below its name."""
        return tuple(fact for fact in (self.asn, *self.addresses, self.hardware) if fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A cable between two items, or an item and a network: `labels` are its prefixes or the item's addresses there.

    `odd` says what is not standard about it; `count` how many cables it stands for.
    """

    a: str
    b: str
    labels: tuple[str, ...] = ()
    odd: str = ""
    details: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A shared network that is drawn as such; a ToR's network of servers is not."""

    name: str
    title: str
    facts: tuple[str, ...]
    details: str
    outside: bool
    """Whether it is at the borders' outer side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """A rack: its ToRs, and its servers or how many there are of each role."""

    title: str
    tors: tuple[Item, ...]
    servers: tuple[Item, ...]
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """Spines with their racks. The only pod of a fabric without super-spines has no title."""

    title: str
    spines: tuple[Item, ...]
    racks: tuple[Rack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A data centre from the outside in. `beside` are the devices that the file put beside the fabric."""

    title: str
    subtitle: str
    nets: tuple[Net, ...]
    clients: tuple[Item, ...]
    borders: tuple[Item, ...]
    superspines: tuple[Item, ...]
    pods: tuple[Pod, ...]
    beside: tuple[Item, ...]
    wires: tuple[Wire, ...]
    """Between routers, and between devices and nets."""
    cables: tuple[Wire, ...]
    """Between ToRs and their servers."""

    @property
    def racks(self) -> Iterator[Rack]:
        """All racks, by number."""
        return (rack for pod in self.pods for rack in pod.racks)

    @property
    def items(self) -> Iterator[Item]:
        """All that is a device, from the outside in."""
        yield from (*self.clients, *self.borders, *self.superspines)
        for pod in self.pods:
            yield from pod.spines
            for rack in pod.racks:
                yield from (*rack.tors, *rack.servers)
        yield from self.beside
