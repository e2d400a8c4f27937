"""Sockets that numbered packets go over: UDP, and echo requests (RFC 792, RFC 4443)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

_RCVBUF_FORCE: Final = 33  # socket(7); Python has no name for it
_BUFFER: Final = 4 << 20
_ICMP: Final[Mapping[int, tuple[int, int, int]]] = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (58, 128, 129)}
"""By IP version: the protocol, and the types of a request and of its answer (RFC 792, RFC 4443)."""


def udp_socket(address: str, port: int) -> socket.socket:
    """Return a socket for datagrams at a port of an address of this namespace."""
    return _socket(address, socket.SOCK_DGRAM, 0, port)


def _socket(address: str, kind: int, protocol: int, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, protocol)
    # what waits while this process does not run must not be taken for lost
    made.setsockopt(socket.SOL_SOCKET, _RCVBUF_FORCE, _BUFFER)
    made.setblocking(False)
    made.bind((address, port))
    return made


def echo_socket(address: str) -> socket.socket:
    """Return a raw socket that hears answers to echo requests and nothing else (raw(7), RFC 3542)."""
    version = ip_address(address).version
    protocol, _, answer = _ICMP[version]
    made = _socket(address, socket.SOCK_RAW, protocol)
    if version == 4:
        made.setsockopt(255, 1, struct.pack("=I", 0xFFFFFFFF & ~(1 << answer)))  # SOL_RAW, ICMP_FILTER
    else:
        words = [0xFFFFFFFF] * 8
        words[answer >> 5] &= ~(1 << (answer & 31))
        made.setsockopt(protocol, 1, struct.pack("=8I", *words))  # ICMP6_FILTER
    return made


def echo_head(address: str, token: bytes, stream: int) -> Callable[[int], bytes]:
    """Return what makes the heads of echo requests with the number of a packet, checksum included (RFC 1071).

    Only the number is different in each, which is in it twice, as a whole and as the sequence's lower half. Of IPv6 the
    kernel makes the checksum.
    """
    _, request, _ = _ICMP[ip_address(address).version]
    identity = int.from_bytes(token[:2], "big")
    fixed = (request << 8) + identity + sum(struct.unpack("!4H", token)) + stream

    def head(number: int) -> bytes:
        low, high = number & 0xFFFF, number >> 16
        total = fixed + low + low + high
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        return struct.pack("!BBHHH", request, 0, ~total & 0xFFFF, identity, low)

    return head
