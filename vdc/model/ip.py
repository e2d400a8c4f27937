"""Addresses and prefixes of either family, as the types that all of a topology is made of."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
"""An address with the length of its prefix."""
Prefix = IPv4Network | IPv6Network
