"""Namespaces, and what connects them: bridges, cables, addresses, routes and what wires do to packets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A network namespace `name`, with its loopback up; `forwarding` makes it a router, of both families.

    Without `ipv6` its kernel does not speak IPv6 at all.
    """

    name: str
    forwarding: bool = False
    ipv6: bool = False

    @property
    def id(self) -> str:
        """`namespace:NAME`."""
        return f"namespace:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A Linux bridge without STP in a namespace; up from the start. It has no addresses, not even a link-local one."""

    netns: str
    name: str
    mtu: int = 1500

    @property
    def id(self) -> str:
        """`bridge:NAME`."""
        return f"bridge:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace."""
        return (f"namespace:{self.netns}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """One end of a veth pair: in `netns`, named `name`, with a `mac` and `addresses` (CIDR) or on a `bridge`; up.

    A MAC that is always the same is what neighbours that wake from a checkpoint remember. IPv6 addresses are there at
    once, without duplicate address detection. `link_local` (CIDR, /64) is its only link-local address: the kernel
    makes none itself, whether there is one here or not.
    """

    netns: str
    name: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None
    mtu: int = 1500
    link_local: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth:
    """A veth pair between two namespaces."""

    a: Plug
    b: Plug

    @property
    def id(self) -> str:
        """`veth:NETNS/NAME` of end a."""
        return f"veth:{self.a.netns}/{self.a.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Both namespaces, and the bridges its ends sit on."""
        bridges = tuple(f"bridge:{end.bridge}" for end in (self.a, self.b) if end.bridge)
        return (f"namespace:{self.a.netns}", f"namespace:{self.b.netns}", *bridges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A persistent tap on a bridge, which a guest's NIC opens, with a pair of queues for each of `queues`."""

    netns: str
    name: str
    bridge: str
    mtu: int = 1500
    queues: int = 1

    @property
    def id(self) -> str:
        """`tap:NAME`."""
        return f"tap:{self.name}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its bridge."""
        return (f"bridge:{self.bridge}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """Addresses (CIDR), of either family, on the loopback of a namespace."""

    netns: str
    addresses: tuple[str, ...]

    @property
    def id(self) -> str:
        """`loopback:NETNS`."""
        return f"loopback:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """Its namespace."""
        return (f"namespace:{self.netns}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoute:
    """A default route of a namespace, for each family over its `gateways` (equal cost)."""

    netns: str
    gateways: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def id(self) -> str:
        """`route:NETNS`."""
        return f"route:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The links (`after`) over which the gateways are reached."""
        return self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a wire does to the packets that leave `interface`, or those that come in over it if they are `incoming`.

    `delay` and `jitter` are in seconds, `loss` from 0 to 1, `rate` in bits per second (0: as fast as can be).
    `far_netns` and `far` are the interface at the other end, if that is on the host.
    """

    netns: str
    interface: str
    incoming: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    rate: int = 0
    far_netns: str | None = None
    far: str | None = None
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`impairment:NETNS/INTERFACE`, with `/in` for packets that come in."""
        return f"impairment:{self.netns}/{self.interface}{'/in' if self.incoming else ''}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The link (`after`) that has the interface."""
        return self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """Network address translation (RFC 3022) between the namespace `netns` and `outside`, or the host's own.

    `inside` is the interface of `netns` to the border, which is reached at `border`; what comes from `sources` leaves
    over `uplink`, with `address` (CIDR). `host_interface` with `host_address` (CIDR) and the nftables table `table` are
    all that is ever made outside.
    """

    netns: str
    inside: str
    border: str
    sources: tuple[str, ...]
    uplink: str
    address: str
    host_interface: str
    host_address: str
    table: str
    outside: str | None
    mtu: int = 1500
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`nat:NETNS`."""
        return f"nat:{self.netns}"

    @property
    def requires(self) -> tuple[str, ...]:
        """The cable to the border (`after`)."""
        return self.after
