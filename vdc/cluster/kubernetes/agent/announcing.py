"""Which addresses a node announces: those of balanced services that have a backend on it that is ready."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from .objects import Service, Slice
from .records import endpoints_of


class Announcement(NamedTuple):
    """What is announced now, and what will be as soon as the node itself is ready for it."""

    now: frozenset[IPv4Address]
    later: frozenset[IPv4Address]


Backends = Mapping[IPv4Address, frozenset[IPv4Address]]
"""Addresses of services, each with those of its backends that are ready and on this node."""


def announcement(
    wanted: Backends,
    so_far: Collection[IPv4Address],
    local: Callable[[IPv4Address], bool],
    programmed: Callable[[IPv4Address, frozenset[IPv4Address]], bool],
) -> Announcement:
    """Return what to announce of the addresses that are `wanted`, after those announced `so_far`.

    A backend must be `local`: the API may believe in a pod that went with a reboot, but the kernel knows whether it has
    a way to it. An address that is new waits until kube-proxy sends packets on to a backend here (`programmed`), since
    packets that come before would be dropped. One without a backend goes at once.
    """
    here = {address: frozenset(filter(local, backends)) for address, backends in wanted.items()}
    now = frozenset(
        address
        for address, backends in here.items()
        if backends and (address in so_far or programmed(address, backends))
    )
    return Announcement(now=now, later=frozenset(wanted) - now)


def backed(services: Iterable[Service], slices: Iterable[Slice], node: str) -> Backends:
    """Return the addresses of balanced services that have a ready backend on this node, and these."""
    behind = endpoints_of(slices)
    found: dict[IPv4Address, frozenset[IPv4Address]] = {}
    for service in services:
        here = [each.address for each in behind.get(service.key, ()) if each.ready and each.node == node]
        if service.balanced and here:
            found |= dict.fromkeys(service.ingress, frozenset(here))
    return found


def bird_text(addresses: Collection[IPv4Address]) -> str:
    """Return what BIRD includes: a static route for each address.

    It leads to the interface of the node's own addresses, so that the node can itself connect to the address; packets
    for which kube-proxy has no backend end there.
    """
    if not addresses:
        return ""
    routes = "".join(f'\troute {each}/32 via "node0";\n' for each in sorted(addresses))
    return f"protocol static services4 {{\n\tipv4;\n{routes}}}\n"


def announced_in(text: str) -> frozenset[IPv4Address]:
    """Return the addresses in what `bird_text` returned."""
    return frozenset(map(IPv4Address, re.findall(r"^\troute ([0-9.]+)/32 ", text, flags=re.MULTILINE)))
