"""Access to the internet: a namespace between the border and the outside that translates addresses (RFC 3022)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from vdc.model.topology import Internet, Topology
from vdc.plan.context import PlanContext
from vdc.plan.resources import Resource
from vdc.plan.resources.network import DefaultRoute, Namespace, Nat, Plug, Veth

NAME: Final = "internet"
"""The end of the namespace's name."""

UPLINK: Final = "uplink"
"""The name of the interface that leads outside."""

HOST_INTERFACE: Final = "vdcn"
"""How the names of interfaces that lead inside begin."""

_OUTSIDE: Final = IPv4Network("198.18.0.0/15")
"""Reserved for isolated test networks (RFC 2544, C.2.2), so neither in use on the host nor in the internet."""


def plan_internet(internet: Internet, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield the namespace, its cable to the border, and the translation; outside is as little as can be."""
    del topology
    border, netns = context.device_netns(internet.border), context.device_netns(NAME)
    yield Namespace(name=netns, forwarding=True)
    veth = Veth(
        a=Plug(netns=border, name=internet.interface, addresses=(str(internet.address),), mtu=internet.mtu),
        b=Plug(netns=netns, name=internet.border, addresses=(str(internet.gateway),), mtu=internet.mtu),
    )
    yield veth
    yield DefaultRoute(netns=border, gateways=(str(internet.gateway.ip),), after=(veth.id,))
    ours, host = outside_ends(context.instance)
    yield Nat(
        netns=netns,
        inside=internet.border,
        border=str(internet.address.ip),
        sources=tuple(map(str, internet.sources)),
        uplink=UPLINK,
        address=f"{ours}/31",
        host_interface=host_interface(context.instance),
        host_address=f"{host}/31",
        table=context.netns,
        outside=internet.namespace,
        mtu=internet.mtu,
        after=(veth.id,),
    )


def outside_ends(instance: str) -> tuple[IPv4Address, IPv4Address]:
    """Return the addresses of the wire to the outside, ours and the host's: a /31 by SHA-256 of the instance's name."""
    number = int.from_bytes(_digest(instance)[:2]) * 2
    return _OUTSIDE.network_address + number, _OUTSIDE.network_address + number + 1


def host_interface(instance: str) -> str:
    """Return the name of the end of that wire outside: `vdcn` and eight hexadecimal digits, as names are short."""
    return f"{HOST_INTERFACE}{_digest(instance).hex()[:8]}"


def _digest(instance: str) -> bytes:
    return hashlib.sha256(instance.encode()).digest()
