"""Routing netlink (rtnetlink(7), RFC 3549) in batches: messages as bytes, and a socket that sends many at once.

pyroute2 takes six times as long to build a message as the kernel takes to act on it. So what comes in thousands is
packed here: links between routers, their addresses and neighbours, and the routing tables that are read back.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Final, NamedTuple

from vdc.errors import BuildError

REQUEST, ACK, DUMP, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
"""Flags of a message (linux/netlink.h)."""

NEWLINK, DELLINK, GETLINK, NEWADDR, NEWROUTE, GETROUTE, NEWNEIGH = 16, 17, 18, 20, 24, 26, 28
"""Kinds of message (linux/rtnetlink.h)."""

_ERROR, _DONE = 2, 3
_HEAD: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_LINK: Final = struct.Struct("=BxHiII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_ERRNO: Final = struct.Struct("=i")
_U32: Final = struct.Struct("=I")
_NESTED: Final = 0x8000
_UP: Final = 0x1

# linux/if_link.h, linux/if_addr.h, linux/neighbour.h
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_NET_NS_FD, _IFLA_EXT_MASK, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 28, 29, 1, 2, 1
_IFLA_CARRIER, _IFLA_CARRIER_CHANGES, _IFLA_BR_FORWARD_DELAY, _IFLA_BR_STP_STATE = 33, 35, 1, 5
_SKIP_STATISTICS: Final = 8
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD, _SCOPE_UNIVERSE, _SCOPE_LINK = 1, 2, 0x02, 0, 253
_NDA_DST, _NDA_LLADDR, _PERMANENT = 1, 2, 0x80

_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT, _ATTR_MSG = 270, 10, 11, 12, 1
_CHUNK: Final = 32 << 10
_BUFFER: Final = 64 << 10
_RECEIVED: Final = 1 << 20
_FAMILIES: Final[Mapping[int, int]] = {4: socket.AF_INET, 6: socket.AF_INET6}


class Request(NamedTuple):
    """A message to the kernel; `about` names what it is for, should it be refused."""

    kind: int
    flags: int
    body: bytes
    about: str = ""


class RefusedError(BuildError):
    """The kernel refused a message; `errno` says why."""

    def __init__(self, about: str, errno: int, text: str) -> None:
        super().__init__(about, text or os.strerror(errno))
        self.errno = errno


class VethEnd(NamedTuple):
    """One end of a pair that is to be made."""

    name: str
    mac: str | None
    mtu: int


def new_veth(near: VethEnd, far: VethEnd, *, far_netns: int, about: str) -> Request:
    """Make a pair of which `near` is here and up, and `far` in the namespace of this file descriptor, and down."""
    peer = _link() + _end(far) + attribute(_IFLA_NET_NS_FD, _U32.pack(far_netns))
    data = attribute(_IFLA_INFO_DATA | _NESTED, attribute(_VETH_INFO_PEER | _NESTED, peer))
    info = attribute(_IFLA_LINKINFO | _NESTED, attribute(_IFLA_INFO_KIND, b"veth") + data)
    return Request(NEWLINK, CREATE | EXCLUSIVE, _link(up=True) + _end(near) + info, about)


def new_bridge(name: str, *, mtu: int, about: str) -> Request:
    """Make a bridge, up, without spanning tree and without the delay it would bring."""
    data = attribute(_IFLA_BR_STP_STATE, _U32.pack(0)) + attribute(_IFLA_BR_FORWARD_DELAY, _U32.pack(0))
    kind = attribute(_IFLA_INFO_KIND, b"bridge") + attribute(_IFLA_INFO_DATA | _NESTED, data)
    body = _link(up=True) + _named(name) + attribute(_IFLA_MTU, _U32.pack(mtu))
    return Request(NEWLINK, CREATE | EXCLUSIVE, body + attribute(_IFLA_LINKINFO | _NESTED, kind), about)


def set_link(
    link: int | str, *, up: bool | None = None, master: int | None = None, mtu: int | None = None, about: str
) -> Request:
    """Set a link, known by its index or name, up or down, on a bridge, or give it another MTU in bytes."""
    body = _link(link, up=up) if isinstance(link, int) else _link(up=up) + _named(link)
    if mtu is not None:
        body += attribute(_IFLA_MTU, _U32.pack(mtu))
    if master is not None:
        body += attribute(_IFLA_MASTER, _U32.pack(master))
    return Request(NEWLINK, 0, body, about)


def remove_link(name: str, *, about: str) -> Request:
    """Delete a link, and with it the other end of a pair."""
    return Request(DELLINK, 0, _link() + _named(name), about)


def new_address(index: int, address: str, *, about: str) -> Request:
    """Give a link an address (CIDR); an IPv6 one is there at once, without duplicate address detection (RFC 4862)."""
    interface = ip_interface(address)
    flags = _IFA_F_NODAD if interface.version == 6 else 0
    scope = _SCOPE_LINK if interface.is_link_local else _SCOPE_UNIVERSE
    head = _ADDRESS.pack(_FAMILIES[interface.version], interface.network.prefixlen, flags, scope, index)
    packed = interface.ip.packed
    body = head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    return Request(NEWADDR, CREATE | EXCLUSIVE, body, about)


def new_neighbour(index: int, address: str, mac: str, *, about: str) -> Request:
    """Tell a link for good which MAC an address has."""
    ip = ip_address(address)
    head = _NEIGHBOUR.pack(_FAMILIES[ip.version], index, _PERMANENT, 0, 0)
    return Request(NEWNEIGH, CREATE, head + attribute(_NDA_DST, ip.packed) + attribute(_NDA_LLADDR, _mac(mac)), about)


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded to four bytes."""
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def attributes(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of the attributes from `start` on."""
    end = len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        yield kind & ~_NESTED, data[start + 4 : start + length]
        start += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is there: whether it is set up, has a carrier, and how often it has got or lost that."""

    index: int
    up: bool
    carrier: bool
    changes: int


class Rtnl:
    """A socket of the namespace in which it was opened, wherever it is used then."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT):
            with suppress(OSError):  # an older kernel lists more and explains less
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Rtnl:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, requests: Iterable[Request]) -> None:
        """Let the kernel do all this, in order.

        Raises RefusedError: it refused one of them; those after it were done or not.
        """
        chunk: list[Request] = []
        size = 0
        for request in requests:
            chunk.append(request)
            size += _HEAD.size + len(request.body)
            if size >= _CHUNK:
                self._send(chunk)
                chunk, size = [], 0
        if chunk:
            self._send(chunk)

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Yield the bodies of all that the kernel lists.

        Raises RefusedError: it lists nothing of the kind.
        """
        self._socket.send(_message(kind, REQUEST | DUMP, 1, body))
        while True:
            for found, _, reply in _messages(self._socket.recv(_BUFFER)):
                if found == _ERROR:
                    raise _refused("the kernel", reply)
                if found == _DONE:
                    return
                yield reply

    def links(self) -> Mapping[str, Link]:
        """Return every link, by name."""
        found = {}
        for reply in self.dump(GETLINK, _link() + attribute(_IFLA_EXT_MASK, _U32.pack(_SKIP_STATISTICS))):
            _, _, index, flags, _ = _LINK.unpack_from(reply)
            values = dict(attributes(reply, _LINK.size))
            name = values[_IFLA_IFNAME].rstrip(b"\0").decode()
            carrier = values.get(_IFLA_CARRIER, b"\0") != b"\0"
            (changes,) = _U32.unpack(values.get(_IFLA_CARRIER_CHANGES, bytes(_U32.size)))
            found[name] = Link(index=index, up=bool(flags & _UP), carrier=carrier, changes=changes)
        return found

    def _send(self, chunk: Sequence[Request]) -> None:
        """Send messages at once. Only the last is acknowledged if it is done, and those that are refused."""
        last = len(chunk) - 1
        self._socket.send(
            b"".join(
                _message(request.kind, REQUEST | request.flags | (ACK if number == last else 0), number, request.body)
                for number, request in enumerate(chunk)
            )
        )
        refused = None
        while True:
            for _, number, reply in _messages(self._socket.recv(_BUFFER)):
                if _ERRNO.unpack_from(reply)[0] and refused is None:
                    refused = _refused(chunk[number].about, reply)
                if number == last:
                    if refused is not None:
                        raise refused
                    return


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    # no body has a length that is not a multiple of four
    return _HEAD.pack(_HEAD.size + len(body), kind, flags, number, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, number and body of each message in what was received at once."""
    start = 0
    while start < len(data):
        length, kind, _, number, _ = _HEAD.unpack_from(data, start)
        yield kind, number, data[start + _HEAD.size : start + length]
        start += (length + 3) & ~3


def _refused(about: str, reply: bytes) -> RefusedError:
    texts = dict(attributes(reply, _ERRNO.size + _HEAD.size))
    text = texts.get(_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return RefusedError(about, -int(_ERRNO.unpack_from(reply)[0]), text)


def _link(index: int = 0, *, up: bool | None = None) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, _UP if up else 0, 0 if up is None else _UP)


def _named(name: str) -> bytes:
    return attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _end(end: VethEnd) -> bytes:
    address = attribute(_IFLA_ADDRESS, _mac(end.mac)) if end.mac else b""
    return _named(end.name) + address + attribute(_IFLA_MTU, _U32.pack(end.mtu))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
