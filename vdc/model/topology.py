"""The resolved topology: every device, address and session of a data centre, as frozen data.

Made by `vdc.model.expand` from a `TopologySpec`; nothing here depends on the host or on the instance name.
Addresses are `ipaddress` objects, sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal


class Tier(StrEnum):
    """Where a router stands in the fabric, from the outside in."""

    BORDER = "border"
    SPINE = "spine"
    TOR = "tor"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a link or one port on a segment: `interface` of `device` with its address."""

    device: str
    interface: str
    address: IPv4Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A wire straight between two routers; numbered /31 (RFC 3021)."""

    a: End
    b: End


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A shared layer-2 network (a bridge on the host): a ToR and its servers, or borders and clients."""

    name: str
    prefix: IPv4Network
    ports: tuple[End, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One end of an eBGP session: `device` speaks from `local` on `interface` to `peer_device` at `peer`."""

    device: str
    interface: str
    local: IPv4Address
    peer_device: str
    peer: IPv4Address
    peer_asn: int
    peer_is_server: bool

    @property
    def name(self) -> str:
        """The name of the protocol in BIRD: the peer's, with what BIRD forbids replaced."""
        return self.peer_device.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A router of the fabric; `originates` are the prefixes it announces besides its loopback."""

    name: str
    tier: Tier
    rack: int | None
    index: int
    asn: int
    loopback: IPv4Interface
    interfaces: tuple[End, ...]
    sessions: tuple[Session, ...]
    originates: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPort:
    """A NIC of a server: `interface` in the guest, `tap` on the host, on the segment of the ToR `tor`."""

    interface: str
    tap: str
    mac: str
    segment: str
    tor: str
    address: IPv4Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of a rack. `node` is its address, a /32 on a dummy interface announced over every port."""

    name: str
    role: str
    rack: int
    index: int
    asn: int
    node: IPv4Interface
    ports: tuple[ServerPort, ...]
    sessions: tuple[Session, ...]
    cpu: int
    memory: int
    data: int


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A client outside the border: a namespace on the external segment, with a route over every border."""

    name: str
    segment: str
    interface: str
    address: IPv4Interface
    gateways: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole data centre, resolved. `boot` is how servers first start: as clones of a booted template, or cold."""

    name: str
    release: str
    boot: Literal["fork", "cold"]
    routers: tuple[Router, ...]
    servers: tuple[Server, ...]
    externals: tuple[External, ...]
    links: tuple[Link, ...]
    segments: tuple[Segment, ...]

    def router(self, name: str) -> Router:
        """Return the router `name`; raises KeyError naming the ones there are."""
        for router in self.routers:
            if router.name == name:
                return router
        raise KeyError(f"no router {name!r}; there are {', '.join(r.name for r in self.routers)}")

    def server(self, name: str) -> Server:
        """Return the server `name`; raises KeyError naming the ones there are."""
        for server in self.servers:
            if server.name == name:
                return server
        raise KeyError(f"no server {name!r}; there are {', '.join(s.name for s in self.servers)}")

    def tier(self, tier: Tier) -> tuple[Router, ...]:
        """Return the routers of one tier."""
        return tuple(router for router in self.routers if router.tier is tier)

    @property
    def racks(self) -> tuple[int, ...]:
        """The numbers of the racks, in order."""
        return tuple(sorted({router.rack for router in self.routers if router.rack is not None}))
