"""Packets as a file that Wireshark and tcpdump read (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_ETHERNET: Final = 1  # LINKTYPE_ETHERNET
_NAME, _RESOLUTION, _FLAGS, _COMMENT = 2, 9, 2, 1
_NANOSECONDS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet as an interface, known by its number, saw it `time` nanoseconds after 1970.

    `content` may be only the start of its `length` bytes.
    """

    interface: int
    time: int
    length: int
    content: bytes
    outgoing: bool = False


def pcapng(interfaces: Mapping[int, str], packets: Iterable[Packet], *, snaplen: int, comment: str = "") -> bytes:
    """Return a file of packets; those of interfaces that are not among these (number to name) are left out."""
    places = {number: place for place, number in enumerate(interfaces)}
    head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    blocks = [_block(_SECTION, head, [(_COMMENT, comment.encode())] if comment else [])]
    for name in interfaces.values():
        options = [(_NAME, name.encode()), (_RESOLUTION, bytes([_NANOSECONDS]))]
        blocks.append(_block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, snaplen), options))
    for packet in packets:
        if packet.interface in places:
            body = struct.pack(
                "<IIIII",
                places[packet.interface],
                packet.time >> 32,
                packet.time & 0xFFFFFFFF,
                len(packet.content),
                packet.length,
            )
            direction = struct.pack("<I", 2 if packet.outgoing else 1)
            blocks.append(_block(_PACKET, body + _padded(packet.content), [(_FLAGS, direction)]))
    return b"".join(blocks)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    told = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    content = body + (told + b"\0\0\0\0" if told else b"")
    length = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + length + content + length


def _padded(value: bytes) -> bytes:
    return value + b"\0" * (-len(value) % 4)
