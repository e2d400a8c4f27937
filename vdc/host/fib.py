"""The routes that BIRD has put into the kernel table of a namespace, read over netlink (rtnetlink(7))."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6
from typing import Final

from vdc.host import rtnl
from vdc.host.namespaces import sockets
from vdc.host.rtnl import Rtnl, attributes

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_HOP: Final = struct.Struct("=HBBi")
_FROM_BIRD: Final = 12  # linux/rtnetlink.h: RTPROT_BIRD
_DESTINATION, _GATEWAY, _MULTIPATH, _VIA = 1, 5, 9, 18
_LENGTHS: Final[Mapping[int, int]] = {AF_INET: 4, AF_INET6: 16}


def from_bird(netns: str) -> dict[Prefix, frozenset[Address]]:
    """Return prefix to next hops of the routes that BIRD made; those that lead nowhere are left out."""
    found: dict[Prefix, frozenset[Address]] = {}
    with sockets([netns]) as kernels:
        for family in (AF_INET, AF_INET6):
            found.update(_table(kernels[netns], family))
    return found


def _table(kernel: Rtnl, family: int) -> Iterator[tuple[Prefix, frozenset[Address]]]:
    """Yield the routes of a family. Most of them share their next hops with others, which are decoded once."""
    known: dict[tuple[bytes, ...], frozenset[Address]] = {}
    request = _ROUTE.pack(family, 0, 0, 0, 0, _FROM_BIRD, 0, 0, 0)
    for reply in kernel.dump(rtnl.GETROUTE, request):
        _, length, _, _, _, protocol, _, _, _ = _ROUTE.unpack_from(reply)
        if protocol != _FROM_BIRD:  # a kernel before 4.20 lists all
            continue
        values = dict(attributes(reply, _ROUTE.size))
        raw = tuple(values.get(kind, b"") for kind in (_GATEWAY, _VIA, _MULTIPATH))
        if raw not in known:
            known[raw] = frozenset(_hops(values))
        if known[raw]:
            yield _prefix(values.get(_DESTINATION, bytes(_LENGTHS[family])), length), known[raw]


def _hops(values: Mapping[int, bytes]) -> Iterator[Address]:
    """Yield the next hops in the attributes of a route or of one of its paths."""
    if gateway := values.get(_GATEWAY):
        yield ip_address(gateway)
    if via := values.get(_VIA):
        yield ip_address(via[2:])  # after the family
    paths = values.get(_MULTIPATH, b"")
    while paths:
        size = _HOP.unpack_from(paths)[0]
        yield from _hops(dict(attributes(paths[:size], _HOP.size)))
        paths = paths[(size + 3) & ~3 :]


@lru_cache(maxsize=1 << 16)
def _prefix(packed: bytes, length: int) -> Prefix:
    return IPv4Network((packed, length)) if len(packed) == 4 else IPv6Network((packed, length))
