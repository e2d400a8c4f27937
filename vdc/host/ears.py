"""Hears which packets come to devices: at a router in its namespace, at a server where its taps hand them to it.

A packet that is lost on its way is not heard, whatever becomes of its answer: so each direction is known for itself.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from vdc.host import namespaces
from vdc.wait import NotYet

_ETH_P_ALL: Final = 0x0003
_OUTGOING: Final = 4  # packet(7)
_RCVBUF_FORCE: Final = 33  # SO_RCVBUFFORCE, socket(7)
_BUFFER: Final = 16 << 20
_FRAME: Final = 512
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_STATISTICS: Final = struct.Struct("II")  # struct tpacket_stats: packets, drops


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """Where packets come to a device: a router in its `netns`, or with `taps` a server whose NICs they are."""

    netns: str
    taps: tuple[str, ...] = ()

    def is_at(self, interface: str, *, leaves: bool) -> bool:
        """Return whether a packet that is seen at an interface comes to the device."""
        return leaves and interface in self.taps if self.taps else not leaves


def hear(tokens: Mapping[bytes, Ear], send: Callable[[], object]) -> frozenset[bytes]:
    """Return those tokens that come to their ears, in any packet, from before `send` until it has returned.

    Raises:
        BuildError: a namespace is not there.
        NotYet: more came than could be kept, so that nobody knows whether the others did.
    """
    with ExitStack() as stack:
        found: set[bytes] = set()
        ways = {
            netns: stack.enter_context(namespaces.inside(netns, _opened))
            for netns in {ear.netns for ear in tokens.values()}
        }
        send()
        for netns, way in ways.items():
            mine = {token: ear for token, ear in tokens.items() if ear.netns == netns}
            for interface, leaves, frame in _frames(way):
                found |= {
                    token for token, ear in mine.items() if token in frame and ear.is_at(interface, leaves=leaves)
                }
            if not found >= mine.keys() and (dropped := _dropped(way)):
                raise NotYet(f"{dropped} packets in {netns} came too fast to be heard")
    return frozenset(found)


def _opened() -> socket.socket:
    way = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    way.setsockopt(socket.SOL_SOCKET, _RCVBUF_FORCE, _BUFFER)
    way.setblocking(False)
    return way


def _dropped(way: socket.socket) -> int:
    """Return how many packets found no room (packet(7), PACKET_STATISTICS)."""
    return int(_STATISTICS.unpack(way.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size))[1])


def _frames(way: socket.socket) -> Iterator[tuple[str, bool, bytes]]:
    while True:
        try:
            frame, sender = way.recvfrom(_FRAME)
        except BlockingIOError:  # no more
            return
        yield sender[0], sender[2] == _OUTGOING, frame
