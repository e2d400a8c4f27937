"""Every formula that gives a device its name, number, address, AS number or MAC: functions of the file alone.

`topologies/ADDRESSING.md` tells them in one place. A number never depends on how many of *another* thing there are, so
one more rack, server, ToR, spine or border leaves the numbers of what was there as they were; where a block is too
small for what is added (`block`), the numbers in it change.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final

from vdc.model.ip import Interface, Prefix
from vdc.model.topology import Tier

IFNAMSIZ: Final = 15
"""The longest name of a Linux network interface, in bytes (linux/if.h: 16 with the final zero)."""

PRIVATE_ASNS: Final = range(4200000000, 4294967295)
"""The AS numbers of four bytes reserved for private use (RFC 6996)."""

EXTERNAL: Final = "external"
"""The name of the external segment, of its bridge and of a border's interface there."""

OPERATION: Final = "operation"
"""The same of the tester's place."""

OOB: Final = "oob"
"""The name of the management segment, of its bridge and of a server's NIC there."""

INTERNET: Final = "internet"
"""The name of a border's interface to the NAT."""

SERVERS: Final = "servers"
"""The name of a ToR's interface to its servers."""

OWN_DISKS: Final = ("root", "data", "config", "seed")
"""The serial numbers of the disks that servers have besides volumes."""

DISK_SERIAL_LENGTH: Final = 20
"""The longest serial number of a disk, in bytes: that of virtio (VIRTIO 1.2, 5.2) and of NVMe (NVMe base 2.0, 5.17)."""

LEAST_SERVERS: Final = 16
"""A rack has room for so many servers and blocks of pod addresses, or for the next power of two that all fit in."""

LEAST_UPLINKS: Final = 4
"""A router has room for so many link numbers to the tier outside it, or the next power of two that they fit in."""

REACH: Final = 1 << 20
"""So many numbers of a pool are used at most: its end is that of these."""

_TURNS: Final = (Tier.BORDER, Tier.SUPERSPINE, Tier.SPINE, Tier.ROUTER)
_SEGMENT_REACH: Final = 256
_LINK_LOCAL: Final = int(IPv6Address("fe80::"))
_ON_SEGMENT: Final = 1 << 48


def router_name(tier: Tier, index: int, *, rack: int | None = None, pod: int | None = None) -> str:
    """Return `border0`, `spine0`, in a pod of several `pod0-spine0`, in a rack `rack0-tor0`.

    It also names its peers' interfaces to it.
    """
    if rack is not None:
        return f"rack{rack}-{tier}{index}"
    return f"{tier}{index}" if pod is None else f"pod{pod}-{tier}{index}"


def server_name(rack: int, role: str, index: int) -> str:
    """Return `rack0-cs0`: `index` counts the servers of that role in the rack."""
    return f"rack{rack}-{role}{index}"


def client_name(index: int, clients: int, segment: str = EXTERNAL) -> str:
    """Return `external` for the only client of that segment, else `external0`, `external1` …"""
    return segment if clients == 1 else f"{segment}{index}"


def nic_name(port: int, segment: str | None = None) -> str:
    """Return the name of a NIC: a server's `eth0` goes to the first ToR of its rack, its `oob` to that segment."""
    return OOB if segment == OOB else f"eth{port}"


def tap_name(server: str, port: int) -> str:
    """Return the name of the tap behind a server's NIC: `rack0-cs0.0`."""
    return f"{server}.{port}"


def leg_name(device: str, leg: int = 0) -> str:
    """Return the name of the end on the bridge of a device's cable to a segment: `rack0-tor0.u`, a second one `.u1`."""
    return f"{device}.u{leg}" if leg else f"{device}.u"


def mac(topology: str, device: str, port: int | str) -> str:
    """Return a locally administered unicast MAC: `02` and five bytes of SHA-256 of `topology/device/port`.

    `port` is the number of a server's NIC, or the name of another device's interface.
    """
    digest = hashlib.sha256(f"{topology}/{device}/{port}".encode()).hexdigest()
    return f"02:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}:{digest[6:8]}:{digest[8:10]}"


def serial(server: str) -> str:
    """Return the serial number of a server's machine: SHA-1 of its name."""
    return hashlib.sha1(server.encode(), usedforsecurity=False).hexdigest()


def disk_serial(volume: str) -> str:
    """Return the serial number of a volume that has none of its own: its name, unless a server's own disk has that."""
    return (f"volume-{volume}" if volume in OWN_DISKS else volume)[:DISK_SERIAL_LENGTH]


def block(most: int, least: int = 1) -> int:
    """Return how many numbers each of several holders is given: the next power of two for the one with the most."""
    return max(least, 1 << max(0, most - 1).bit_length())


def spine_number(pod: int, index: int, pods: int) -> int:
    """Return the number of a spine over all pods: a new spine of each pod comes after all there were."""
    return index * pods + pod


def server_number(rack: int, position: int, room: int) -> int:
    """Return the number of a server; `room` is the `block` of a rack."""
    return rack * room + position


def from_the_end(tier: Tier, number: int) -> int:
    """Return how far from the end of a pool a router other than a ToR counts: the tiers take turns."""
    return len(_TURNS) * number + _TURNS.index(tier)


def router_number(tier: Tier, number: int, capacity: int) -> int:
    """Return the loopback number of a router: ToRs count from the start of the pool, the others from its end."""
    return number if tier is Tier.TOR else min(capacity, REACH) - 1 - from_the_end(tier, number)


def router_id(tier: Tier, number: int) -> IPv4Address:
    """Return the router id of a router without IPv4: 0.0.0.1 + its loopback number (RFC 6286: any but 0)."""
    return IPv4Address(1 + router_number(tier, number, REACH))


def server_router_id(number: int) -> IPv4Address:
    """Return the router id of a server without IPv4: 1.0.0.0 + its number, above those of routers."""
    return IPv4Address((1 << 24) + number)


def link_number(tier: Tier, number: int, uplink: int, room: int, capacity: int) -> int:
    """Return the number of the link by which router `number` of `tier` reaches router `uplink` of a tier outside.

    The inner router's block of `room` numbers is at the start of the pool for a ToR, else at the end.
    """
    if tier is Tier.TOR:
        return number * room + uplink
    return min(capacity, REACH) - room * (1 + from_the_end(tier, number)) + uplink


def last_position(prefix: Prefix) -> int:
    """Return the last position on a segment, or that among its first 256: clients count down from it."""
    return min(prefix.num_addresses, _SEGMENT_REACH) - 2


def oob_client_position(client: int) -> int:
    """Return where a client of the tester's place is on the management segment: from 1."""
    return 1 + client


def oob_server_position(server: int) -> int:
    """Return where server `server` is on the management segment: after the 64 clients there may be."""
    return 65 + server


def link_ends(pool: Prefix, number: int) -> tuple[Interface, Interface]:
    """Return both ends of a link, a /31 (RFC 3021) or /127 (RFC 6164): the outer router has the even address."""
    return _interface(pool, 2 * number, pool.max_prefixlen - 1), _interface(
        pool, 2 * number + 1, pool.max_prefixlen - 1
    )


def link_local(number: int, side: int) -> IPv6Address:
    """Return the link-local address of an end of link `number`, unlike any other: `side` 0 is the outer router."""
    return IPv6Address(_LINK_LOCAL + 2 * number + 2 + side)


def segment_link_local(address: Interface) -> IPv6Address:
    """Return the link-local address of a router or client on a segment: `fe80::1:0:0:POSITION`."""
    position = int(address.ip) - int(address.network.network_address)
    return IPv6Address(_LINK_LOCAL + _ON_SEGMENT + position % _ON_SEGMENT)


def link_capacity(pool: Prefix) -> int:
    """Return how many links a pool numbers."""
    return pool.num_addresses // 2


def host(pool: Prefix, number: int) -> Interface:
    """Return the /32 or /128 of number `number`: the pool's network address + 1 + number."""
    return _interface(pool, 1 + number, pool.max_prefixlen)


def host_capacity(pool: Prefix) -> int:
    """Return how many single addresses a pool gives: its first and last address stay unused."""
    return max(0, pool.num_addresses - 2)


def segment_prefix(pool: Prefix, length: int, number: int) -> Prefix:
    """Return the pool's `number`-th prefix of that length: the segment of a ToR, a block of pod addresses."""
    first = int(pool.network_address) + (number << (pool.max_prefixlen - length))
    return IPv4Network((first, length)) if isinstance(pool, IPv4Network) else IPv6Network((first, length))


def segment_capacity(pool: Prefix, length: int) -> int:
    """Return how many /`length` a pool gives."""
    return 1 << (length - pool.prefixlen) if length >= pool.prefixlen else 0


def port(prefix: Prefix, position: int) -> Interface:
    """Return the address at a position on a segment: a ToR is 1 on its segment and its servers are 2, 3 …"""
    return _interface(prefix, position, prefix.prefixlen)


def tor_asn(base: int, number: int) -> int:
    """Return the AS number of ToR `number`: each has its own (RFC 7938, 5.2); with iBGP `number` is its rack's."""
    return base + number


def server_asn(base: int, number: int) -> int:
    """Return the AS number of server `number`: each has its own, so that every session is eBGP."""
    return base + number


def _interface(pool: Prefix, offset: int, length: int) -> Interface:
    address = int(pool.network_address) + offset
    if isinstance(pool, IPv4Network):
        return IPv4Interface((address, length))
    return IPv6Interface((address, length))
