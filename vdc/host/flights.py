"""Sends numbered packets over a wire, in both directions at once, and tells what came of them.

They are IPv4 packets for a group that nobody is in (RFC 6676), to the group address of the nearest bridge
(IEEE 802.1Q, 8.6.3), so that they end where the wire ends. Each carries its number, the time it set out and a checksum.
To a guest, which is not ours to listen in, go echo requests (RFC 792): what it answers has come, and its answers are
what comes back.
"""

from __future__ import annotations

import secrets
import select
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from vdc.host import namespaces
from vdc.model.flight import Arrival, Flight, Salvo

_NEAREST: Final = bytes.fromhex("0180c200000e")
_NOBODY: Final = IPv4Address("192.0.2.1")  # RFC 5737
_NO_GROUP: Final = IPv4Address("233.252.0.1")
_EXPERIMENT: Final = 253  # RFC 3692
_ICMP: Final = 1
_ETH_P_ALL, _ETH_P_IP = 0x0003, 0x0800
_OUTGOING: Final = 4  # packet(7)
_TIMESTAMPS: Final = 35  # SO_TIMESTAMPNS, socket(7)
_RCVBUF_FORCE: Final = 33
_BUFFER: Final = 16 << 20
_MARKED: Final = struct.Struct("!8sId")
_TIMESPEC: Final = struct.Struct("=qq")
_ETHERNET, _IPV4, _ECHO = 14, 20, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An interface of a namespace, where packets are sent and heard."""

    netns: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest that answers echo requests from `source` to `address`; `mac` is that of its NIC."""

    address: IPv4Address
    mac: str
    source: IPv4Address


@dataclass(slots=True)
class _Stream:
    """The packets of one direction: how each is made, and what was heard of them."""

    token: bytes
    size: int
    arrivals: list[Arrival] = field(default_factory=list)
    sent: int = 0

    def payload(self, number: int, overhead: int) -> bytes:
        head = _MARKED.pack(self.token, number, time.time())
        body = head + bytes(max(0, self.size - overhead - _MARKED.size - 4))
        return body + zlib.crc32(body).to_bytes(4, "big")

    def hear(self, packet: bytes, at: float) -> None:
        """Note what came, if it is one of these; `packet` begins with the IPv4 header."""
        start = packet.find(self.token)
        changed = start < 0 and len(packet) == self.size and packet[16:20] == _NO_GROUP.packed
        if start < 0 and not changed:
            return
        body = packet[start:] if start >= 0 else b""
        if len(body) < _MARKED.size + 4:
            self.arrivals.append(Arrival(number=-1, at=at, seconds=0.0, intact=False))
            return
        _, number, sent = _MARKED.unpack_from(body)
        intact = zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "big") and _sound(packet)
        self.arrivals.append(Arrival(number=number, at=at, seconds=at - sent, intact=intact))

    def flight(self, *, echoed: bool = False) -> Flight:
        return Flight(sent=self.sent, size=self.size, arrivals=tuple(self.arrivals), echoed=echoed)


_Frames = list[tuple[socket.socket, _Stream, bytes]]


def fly(near: Place, far: Place, salvo: Salvo) -> tuple[Flight, Flight]:
    """Send a salvo from `near` to `far` and one back, and return what came of each. Raises BuildError."""
    there, back = _stream(salvo), _stream(salvo)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(_opened(place)) for place in (near, far))
        ways = [(way, stream, way.getsockname()[4]) for way, stream in ((ours, there), (theirs, back))]
        _shoot(
            salvo,
            ((ours, back), (theirs, there)),
            lambda number: [(way, stream, _group_frame(stream, number, own)) for way, stream, own in ways],
        )
        return there.flight(), back.flight()


def fly_echo(near: Place, tap: Place, guest: Guest, salvo: Salvo) -> tuple[Flight, Flight]:
    """Send a salvo of echo requests from `near` to a guest, and return what came of the requests and of its answers.

    Both are heard at the host's side of its NIC (`tap`), where an answer shows that the request had come.
    """
    there, back = _stream(salvo), _stream(salvo)
    back.token = there.token
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(_opened(place)) for place in (near, tap))
        own = ours.getsockname()[4]
        _shoot(
            salvo,
            ((theirs, there), (ours, back)),
            lambda number: [(ours, there, _echo_frame(there, number, own, guest))],
        )
    return there.flight(echoed=True), _answers(there, back)


def _answers(heard: _Stream, back: _Stream) -> Flight:
    """Return the flight of answers, numbered as they set out: of a doubled request there are two."""
    waiting: dict[int, list[int]] = {}
    for place, each in enumerate(heard.arrivals):
        waiting.setdefault(each.number, []).append(place)
    arrivals = []
    for each in back.arrivals:
        places = waiting.get(each.number, [])
        place = (places.pop(0) if len(places) > 1 else places[0]) if places else -1
        left = heard.arrivals[place].at if place >= 0 else each.at
        arrivals.append(Arrival(number=place, at=each.at, seconds=each.at - left, intact=each.intact and place >= 0))
    return Flight(sent=len(heard.arrivals), size=back.size, arrivals=tuple(arrivals))


def _stream(salvo: Salvo) -> _Stream:
    return _Stream(secrets.token_bytes(8), salvo.size)


def _shoot(salvo: Salvo, ears: Sequence[tuple[socket.socket, _Stream]], frames: Callable[[int], _Frames]) -> None:
    """Send the frames of each number when it is due, and listen meanwhile, and for a while after the last."""
    if not salvo.interval:  # as fast as can be: they are made before the first is sent
        made = [frames(number) for number in range(salvo.count)]
        for each in made:
            _send(each)
    start = time.monotonic()
    for number in range(salvo.count if salvo.interval else 0):
        while (left := start + number * salvo.interval - time.monotonic()) > 0:
            _listen(ears, left)
        _send(frames(number))
    end = time.monotonic() + salvo.linger
    while (left := end - time.monotonic()) > 0:
        _listen(ears, left)


def _opened(place: Place) -> socket.socket:
    def listener() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, _RCVBUF_FORCE, _BUFFER)
        made.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        made.setblocking(False)
        made.bind((place.interface, _ETH_P_ALL))
        return made

    return namespaces.inside(place.netns, listener)


def _listen(ears: Sequence[tuple[socket.socket, _Stream]], seconds: float) -> None:
    """Hear what comes, for so long at most."""
    ready = select.select([ear for ear, _ in ears], [], [], seconds)[0]
    for ear, stream in ears:
        if ear in ready:
            for frame, at in _heard(ear):
                stream.hear(frame[_ETHERNET:], at)


def _heard(ear: socket.socket) -> Iterator[tuple[bytes, float]]:
    for _ in range(256):
        try:
            frame, notes, _, sender = ear.recvmsg(65536, 64)
        except OSError:  # no more; or the interface is down
            return
        if sender[2] != _OUTGOING and sender[1] == _ETH_P_IP:
            stamps = [_TIMESPEC.unpack(data[:16]) for _, kind, data in notes if kind == _TIMESTAMPS]
            yield frame, stamps[0][0] + stamps[0][1] / 1e9 if stamps else time.time()


def _send(frames: _Frames) -> None:
    """Send frames; what the kernel does not take has set out all the same, and is lost."""
    for way, stream, frame in frames:
        stream.sent += 1
        with suppress(OSError):
            way.send(frame)


def _group_frame(stream: _Stream, number: int, own: bytes) -> bytes:
    packet = _ipv4(_NOBODY, _NO_GROUP, _EXPERIMENT, stream.payload(number, _IPV4))
    return _NEAREST + own + _ETH_P_IP.to_bytes(2, "big") + packet


def _echo_frame(stream: _Stream, number: int, own: bytes, guest: Guest) -> bytes:
    data = stream.payload(number, _IPV4 + _ECHO)
    head = struct.pack("!BBHHH", 8, 0, 0, 0x7664, number & 0xFFFF)
    echo = head[:2] + _checksum(head + data).to_bytes(2, "big") + head[4:] + data
    packet = _ipv4(guest.source, guest.address, _ICMP, echo)
    return bytes.fromhex(guest.mac.replace(":", "")) + own + _ETH_P_IP.to_bytes(2, "big") + packet


def _ipv4(source: IPv4Address, target: IPv4Address, protocol: int, payload: bytes) -> bytes:
    """Return an IPv4 packet (RFC 791) that goes one hop."""
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, _IPV4 + len(payload), 0, 0, 1, protocol, 0, source.packed, target.packed
    )
    return head[:10] + _checksum(head).to_bytes(2, "big") + head[12:] + payload


def _sound(packet: bytes) -> bool:
    return packet[0] == 0x45 and _checksum(packet[:_IPV4]) == 0


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
