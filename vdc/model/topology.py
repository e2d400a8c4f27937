"""The resolved topology: every device, address and session of a data centre, as frozen data.

Made by `vdc.model.expand` from a `TopologySpec`; nothing here depends on the host or on the instance name.
Addresses are `ipaddress` objects, sizes are bytes, durations seconds, rates bits per second.
Where a thing has an address of each family, the IPv4 one comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Literal

from vdc.model.deployment import Kubernetes, Script
from vdc.model.hardware import PLAIN, UNSEEDED, Hardware, Seed, UserImage
from vdc.model.ip import Address, Interface, Prefix

Family = Literal["ipv4", "ipv6", "dual"]
Boot = Literal["fork", "cold"]

STANDARD_MTU = 1500
"""Bytes: what a link carries where neither the file nor the host's route says otherwise (IEEE 802.3)."""


class Tier(StrEnum):
    """Where a router stands in the fabric, from the outside in; `ROUTER` stands beside it, where the file put it."""

    BORDER = "border"
    SUPERSPINE = "superspine"
    SPINE = "spine"
    TOR = "tor"
    ROUTER = "router"


class SegmentKind(StrEnum):
    """What a segment is for; a `FLAT` one is the file's own network."""

    SERVERS = "servers"
    EXTERNAL = "external"
    OPERATION = "operation"
    OOB = "oob"
    FLAT = "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a wire does to the packets of one direction: `delay` and `jitter` in seconds, `loss` from 0 to 1.

    `rate` is in bits per second; 0 means as fast as can be.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    rate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a link or one port on a segment: `interface` of `device` with its addresses.

    An end of an unnumbered link has no address but the link-local one (RFC 4291, 2.5.6). On a segment, `leg` is the
    name of the cable's end on the bridge (of a server it is the tap of its `ServerPort`), `egress` what happens to
    packets that the device sends, `ingress` to those it receives; of a link, see `Link`. `mtu` None is that of the
    link or segment.
    """

    device: str
    interface: str
    addresses: tuple[Interface, ...] = ()
    link_local: IPv6Address | None = None
    mac: str | None = None
    leg: str | None = None
    mtu: int | None = None
    egress: Impairment | None = None
    ingress: Impairment | None = None

    @property
    def address(self) -> Interface:
        """Its first address. Raises IndexError: it is unnumbered."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A wire straight between two routers: /31 (RFC 3021), /127 (RFC 6164) or unnumbered.

    `to_b` and `to_a` say what happens to packets in either direction.
    """

    a: End
    b: End
    mtu: int = STANDARD_MTU
    to_b: Impairment | None = None
    to_a: Impairment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A shared layer-2 network (a bridge on the host). A flat one may have no prefixes."""

    name: str
    kind: SegmentKind
    prefixes: tuple[Prefix, ...]
    ports: tuple[End, ...]
    mtu: int = STANDARD_MTU

    @property
    def prefix(self) -> Prefix:
        """Its first prefix. Raises IndexError: it has none."""
        return self.prefixes[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One end of a BGP session: `device` speaks from `local` on `interface` to `peer_device` at `peer`.

    One session carries every family of the data centre; `next_hops` are the peer's addresses that routes learned from
    it point to: one of each family, or a single link-local one for both (RFC 8950).
    """

    device: str
    interface: str
    local: Address
    peer_device: str
    peer: Address
    peer_asn: int
    peer_is_server: bool
    next_hops: tuple[Address, ...] = ()
    internal: bool = False
    """Within one AS (iBGP, RFC 4456): the ToR reflects, the server is its client."""
    exposed: bool = False
    """To a border that may learn nothing but the aggregates of exposed prefixes; told to the inner router's end."""
    drained: bool = False
    """Told nothing any more: what went over it goes elsewhere before the router or link is taken away (RFC 8326)."""

    @property
    def name(self) -> str:
        """The name of the protocol in BIRD: the peer's, with what BIRD forbids replaced."""
        return self.peer_device.replace("-", "_")

    def next_hop(self, version: int) -> Address:
        """Return what routes of IP `version` (4 or 6) learned over this session point to."""
        hops = self.next_hops or (self.peer,)
        return next((hop for hop in hops if hop.version == version), hops[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A router of the fabric; `originates` are the prefixes it announces besides its loopbacks.

    `aggregates` are what it tells over `exposed` sessions, and nothing else.
    """

    name: str
    tier: Tier
    rack: int | None
    index: int
    asn: int
    router_id: IPv4Address
    loopbacks: tuple[Interface, ...]
    interfaces: tuple[End, ...]
    sessions: tuple[Session, ...]
    originates: tuple[Prefix, ...] = ()
    aggregates: tuple[Prefix, ...] = ()
    pod: int | None = None

    @property
    def loopback(self) -> Interface:
        """Its first loopback address: what it is known by."""
        return self.loopbacks[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPort:
    """A NIC of a server: `interface` in the guest, `tap` on the host, on `segment`.

    `tor` is the router of its rack at the other end of the cable; on other segments there is none. `egress` is what
    happens to packets that the server sends, `ingress` to those it receives.
    """

    interface: str
    tap: str
    mac: str
    segment: str
    tor: str | None
    addresses: tuple[Interface, ...]
    mtu: int = STANDARD_MTU
    egress: Impairment | None = None
    ingress: Impairment | None = None

    @property
    def address(self) -> Interface:
        """Its first address. Raises IndexError: it has none."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server of a rack, or a guest beside the fabric (`rack` None).

    `nodes` are its addresses, one of each family, on a dummy interface and announced over every port to a ToR.
    `announces` are further addresses (bastion …) and `pods` blocks of pod addresses that it announces too.
    A server whose root disk is a user's `image` is not ours to configure: it has no session, no node address and no
    guest agent.
    `data` is the size of its data disk. One beside the fabric speaks no BGP (`asn` 0) and has `gateways` for its
    default route instead.
    """

    name: str
    role: str
    rack: int | None
    index: int
    asn: int
    router_id: IPv4Address
    nodes: tuple[Interface, ...]
    ports: tuple[ServerPort, ...]
    sessions: tuple[Session, ...]
    cpu: int
    memory: int
    data: int
    hardware: Hardware = PLAIN
    seed: Seed = UNSEEDED
    image: str | None = None
    announces: tuple[Interface, ...] = ()
    pods: tuple[Prefix, ...] = ()
    gateways: tuple[Address, ...] = ()

    @property
    def node(self) -> Interface:
        """Its first node address: what it is known by. Raises IndexError: it has none."""
        return self.nodes[0]

    @property
    def address(self) -> Address | None:
        """Where it is reached: at its first node address where it announces one, else at its first NIC; None: nowhere.

        What a guest of a user's image really has there is up to its configuration.
        """
        own = self.nodes if self.managed else ()
        return next((each.ip for each in (*own, *(each for port in self.ports for each in port.addresses))), None)

    @property
    def managed(self) -> bool:
        """Whether it runs a release of ours, with a guest agent and BIRD."""
        return self.image is None

    @property
    def member(self) -> bool:
        """Whether a cluster is deployed on it: it is in a rack and runs a release of ours."""
        return self.managed and self.rack is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A client: a namespace on a segment outside the fabric or on a flat one, with a route over every gateway."""

    name: str
    segment: str
    interface: str
    addresses: tuple[Interface, ...]
    gateways: tuple[Address, ...]
    further: tuple[End, ...] = ()
    """Its other interfaces, each on a segment of its own."""

    @property
    def address(self) -> Interface:
        """Its first address. Raises IndexError: it has none."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bfd:
    """BFD (RFC 5880): `interval` in seconds, or None for one that follows from the size of the data centre."""

    interval: float | None = None
    multiplier: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How the fabric routes. `bfd` None means that only the hold time, in seconds, tells a dead neighbour.

    `server_bfd` and `server_hold` hold between a ToR and a server; None follows from the host's speed.
    """

    rack: Literal["ebgp", "ibgp"] = "ebgp"
    ecmp: int = 64
    graceful_restart: bool = False
    bfd: Bfd | None = Bfd()
    hold: int = 9
    server_bfd: Bfd | None = Bfd()
    server_hold: int | None = None
    exposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Internet:
    """Internet access over one border: it has a default route to a NAT. `address` of the border, `gateway` of the NAT.

    `sources` are the prefixes that are translated. `namespace` is the one of the host through which it is reached, None
    for the host's own.
    """

    border: str
    interface: str
    address: IPv4Interface
    gateway: IPv4Interface
    sources: tuple[IPv4Network, ...]
    mtu: int = STANDARD_MTU
    namespace: str | None = None


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A whole data centre, resolved. `boot` is how servers first start: as clones of a booted template, or cold."""

    name: str
    release: str
    boot: Boot
    routers: tuple[Router, ...]
    servers: tuple[Server, ...]
    externals: tuple[External, ...]
    links: tuple[Link, ...]
    segments: tuple[Segment, ...]
    family: Family = "ipv4"
    routing: Routing = Routing()
    internet: Internet | None = None
    images: tuple[UserImage, ...] = field(default=())
    kubernetes: Kubernetes | None = None
    script: Script | None = None

    def router(self, name: str) -> Router:
        """Return the router `name`; raises KeyError naming the ones there are."""
        if name not in self._routers:
            raise KeyError(f"no router {name!r}; there are {', '.join(self._routers)}")
        return self._routers[name]

    def server(self, name: str) -> Server:
        """Return the server `name`; raises KeyError naming the ones there are."""
        if name not in self._servers:
            raise KeyError(f"no server {name!r}; there are {', '.join(self._servers)}")
        return self._servers[name]

    @property
    def members(self) -> tuple[Server, ...]:
        """The servers that a cluster is deployed on: those of racks that run a release of ours."""
        return tuple(server for server in self.servers if server.member)

    def bfd_of(self, session: Session) -> Bfd | None:
        """Return the BFD of a session; None where only the hold time tells a dead neighbour."""
        with_server = session.peer_is_server or self.has_server(session.device)
        return self.routing.server_bfd if with_server else self.routing.bfd

    def has_server(self, name: str) -> bool:
        """Return whether `name` is a server."""
        return name in self._servers

    def tier(self, tier: Tier) -> tuple[Router, ...]:
        """Return the routers of one tier."""
        return tuple(router for router in self.routers if router.tier is tier)

    @property
    def racks(self) -> tuple[int, ...]:
        """The numbers of the racks, in order."""
        return tuple(sorted({router.rack for router in self.routers if router.rack is not None}))

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions that are routed."""
        return {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}[self.family]

    @cached_property
    def _routers(self) -> Mapping[str, Router]:
        return {router.name: router for router in self.routers}

    @cached_property
    def _servers(self) -> Mapping[str, Server]:
        return {server.name: server for server in self.servers}
