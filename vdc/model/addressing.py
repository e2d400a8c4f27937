"""Every formula that gives a device its name, address, AS number or MAC: functions of the file alone.

Numbers count from zero. Racks are numbered through the file; ToRs and servers are numbered through the racks:

    ToR number     = rack · tors + index in the rack
    server number  = servers in the racks before + position in the rack
    link number    = border · spines + spine                                    border to spine
                     borders · spines + spine · (racks · tors) + ToR number      spine to ToR
    router number  = borders, then spines, then ToRs
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Interface, IPv4Network
from typing import Final

from vdc.model.topology import Tier

IFNAMSIZ: Final = 15
"""The longest name of a Linux network interface, in bytes (linux/if.h: 16 with the final zero)."""

PRIVATE_ASNS: Final = range(4200000000, 4294967295)
"""The AS numbers of four bytes reserved for private use (RFC 6996)."""

EXTERNAL: Final = "external"
"""The name of the external segment, of its bridge and of a border's interface there."""

SERVERS: Final = "servers"
"""The name of a ToR's interface to its servers."""

CLIENT_INTERFACE: Final = "eth0"
"""The name of an external client's interface."""


def router_name(tier: Tier, index: int, *, rack: int | None = None) -> str:
    """Return `border0`, `spine0` or, in a rack, `rack0-tor0`. It also names peers' interfaces to it."""
    return f"{tier}{index}" if rack is None else f"rack{rack}-{tier}{index}"


def server_name(rack: int, role: str, index: int) -> str:
    """Return `rack0-cs0`: `index` counts the servers of that role in the rack."""
    return f"rack{rack}-{role}{index}"


def client_name(index: int, clients: int) -> str:
    """Return `external` for the only client, else `external0`, `external1` …"""
    return EXTERNAL if clients == 1 else f"{EXTERNAL}{index}"


def nic_name(port: int) -> str:
    """Return the name of a server's NIC in the guest: `eth0` goes to the first ToR of the rack."""
    return f"eth{port}"


def tap_name(server: str, port: int) -> str:
    """Return the name of the tap behind a server's NIC: `rack0-cs0.0`."""
    return f"{server}.{port}"


def leg_name(device: str) -> str:
    """Return the name of the end on the bridge of a device's cable to a segment: `rack0-tor0.u`."""
    return f"{device}.u"


def mac(topology: str, device: str, port: int | str) -> str:
    """Return a locally administered unicast MAC: `02` and five bytes of SHA-256 of `topology/device/port`."""
    digest = hashlib.sha256(f"{topology}/{device}/{port}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def link_ends(pool: IPv4Network, number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """Return both ends of a link, a /31 (RFC 3021): the outer router has the even address."""
    first = pool.network_address + 2 * number
    return IPv4Interface((first, 31)), IPv4Interface((first + 1, 31))


def link_capacity(pool: IPv4Network) -> int:
    """Return how many links a pool numbers."""
    return pool.num_addresses // 2


def host(pool: IPv4Network, number: int) -> IPv4Interface:
    """Return the /32 of router or server `number`: the pool's network address + 1 + number."""
    return IPv4Interface((pool.network_address + 1 + number, 32))


def host_capacity(pool: IPv4Network) -> int:
    """Return how many /32 a pool gives: its network and broadcast address stay unused."""
    return max(0, pool.num_addresses - 2)


def segment_prefix(pool: IPv4Network, length: int, number: int) -> IPv4Network:
    """Return the prefix of the segment of ToR `number`: the pool's `number`-th /`length`."""
    return IPv4Network((pool.network_address + (number << (32 - length)), length))


def segment_capacity(pool: IPv4Network, length: int) -> int:
    """Return how many /`length` a pool gives."""
    return 1 << (length - pool.prefixlen) if length >= pool.prefixlen else 0


def port(prefix: IPv4Network, position: int) -> IPv4Interface:
    """Return the address at a position on a segment.

    A ToR is 1 on its segment and its servers are 2, 3 …; outside, borders count from 1, then the clients.
    """
    return IPv4Interface((prefix.network_address + position, prefix.prefixlen))


def tor_asn(base: int, number: int) -> int:
    """Return the AS number of ToR `number`: each has its own (RFC 7938, 5.2)."""
    return base + number


def server_asn(base: int, number: int) -> int:
    """Return the AS number of server `number`: each has its own, so that every session is eBGP."""
    return base + number
