"""The host's own way to the world, which is only looked at: what its default route carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from vdc.model.topology import STANDARD_MTU

_LARGEST: Final = 9216
"""Bytes: the most that a link of a topology carries."""

_SMALLEST: Final = 1280  # RFC 8200, 5


def default_mtu(net: Path = Path("/proc/net"), devices: Path = Path("/sys/class/net")) -> int:
    """Return the MTU of links of which the topology says nothing: that of the host's default route, if it has one.

    `net` has the kernel's routing tables (proc(5)), `devices` its interfaces.
    """
    for interface, mtu in (*_defaults4(net / "route"), *_defaults6(net / "ipv6_route")):
        with suppress(FileNotFoundError):
            found = mtu or int((devices / interface / "mtu").read_text())
            return max(_SMALLEST, min(found, _LARGEST))
    return STANDARD_MTU


def _defaults4(table: Path) -> Iterator[tuple[str, int]]:
    """Yield interface and MTU (0: that of the interface) of each default route, the preferred first."""
    routes = [line.split() for line in _lines(table)[1:]]
    for _, interface, mtu in sorted(
        (int(r[6]), r[0], int(r[8])) for r in routes if int(r[1], 16) == int(r[7], 16) == 0
    ):
        yield interface, mtu


def _defaults6(table: Path) -> Iterator[tuple[str, int]]:
    routes = [line.split() for line in _lines(table)]
    for _, interface in sorted((int(r[5], 16), r[9]) for r in routes if int(r[0], 16) == int(r[1], 16) == 0):
        if interface != "lo":
            yield interface, 0


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
