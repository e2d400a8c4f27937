"""Keeps the latest packets of routers, so that a failure can be looked at packet by packet: a process of its own.

    python -m vdc.host.packet_ring SOCKET HISTORY BYTES DEVICE=NAMESPACE…

The kernel writes the first bytes of every packet of a namespace into a ring of `BYTES` in memory (packet_mmap,
TPACKET_V3; Documentation/networking/packet_mmap.rst): that takes no time of this process, which takes whole blocks of
them a few times a second, and forgets the oldest; but those of the moments around faults, power and outages, of which
it reads in HISTORY, it remembers for longer. Whoever sends the path of a folder to SOCKET gets the packets there, a
file of each device, and a line of JSON that says what they are.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from vdc.history import events_in
from vdc.host.namespaces import inside_each
from vdc.host.pcapng import Packet, pcapng
from vdc.wait import ticks

SNAPLEN: Final = 96
"""Bytes that are kept of a packet: its headers, and so little of what is in it that no secret is."""

BLOCK: Final = 32 * 1024
"""Bytes after which the kernel goes on with another block; the smallest part that is given back."""

_KERNEL: Final = 2 * 1024 * 1024  # bytes in which the kernel puts packets at most, for the time between two looks
_RETIRED_MS: Final = 2000  # a block that has packets is closed after that, whether it is full or not
_PERIOD: Final = 0.1
_PATIENCE: Final = 1.0  # with who connects and names no folder
_SOL_PACKET: Final = 263
_RX_RING, _STATISTICS, _VERSION = 5, 6, 10  # linux/if_packet.h
_V3: Final = 2
_FRAME: Final = 2048
_LOOPBACK: Final = 1
_USER: Final = 1
_STATUS, _COUNT, _LENGTH, _NUMBER, _TIMES = 8, 12, 20, 24, 32  # of a block; its first packet's place is at 16
_BEFORE, _AFTER = 2.0, 3.0
"""Seconds around a moment of which packets are remembered."""

_TELLING: Final = (b'"phase":"inject"', b'"phase":"bites"', b'"phase":"healed"', b'"kind":"power"', b'"kind":"outage"')
"""What lines of a history hold that tell of such a moment."""
_OUTGOING: Final = 4
_ALL: Final = 3  # ETH_P_ALL
_ATTACH_FILTER: Final = 26
_ADDRESS: Final = 48  # of the sockaddr_ll behind a packet's header
# ld interface number; jeq #1 (loopback): drop; else keep SNAPLEN bytes (Documentation/networking/filter.rst)
_PROGRAM: Final = ((0x20, 0, 0, 0xFFFFF008), (0x15, 0, 1, 1), (0x06, 0, 0, 0), (0x06, 0, 0, SNAPLEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was kept of a device: `start` and `end` are seconds since 1970. The kernel had no room for `lost` ones."""

    packets: int
    start: float
    end: float
    lost: int


class Ring:
    """The latest packets of the namespace that the calling thread is in: `size` bytes of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks = max(8, min(_KERNEL, size) // BLOCK)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        _keep_headers(self._socket)
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _V3)
        ring = struct.pack("7I", BLOCK, self._blocks, _FRAME, BLOCK // _FRAME * self._blocks, _RETIRED_MS, 0, 0)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
        self._memory = mmap.mmap(self._socket.fileno(), BLOCK * self._blocks)
        self._next = self._lost = self._bytes = 0
        self._kept: deque[bytes] = deque()
        self._moments: deque[tuple[bytes, ...]] = deque()
        self.interfaces = {number: name for number, name in socket.if_nameindex() if number != _LOOPBACK}

    def turn(self) -> None:
        """Take what the kernel has filled, so that it has all of its room for what comes; forget the oldest."""
        while self._word(self._next, _STATUS) & _USER:
            start = self._next * BLOCK
            content = self._memory[start : start + self._word(self._next, _LENGTH)]
            struct.pack_into("<I", self._memory, start + _STATUS, 0)
            self._next = (self._next + 1) % self._blocks
            self._kept.append(content)
            self._bytes += len(content)
            while self._bytes > self._size:
                self._bytes -= len(self._kept.popleft())

    def remember(self, start: float, end: float) -> None:
        """Keep what was taken of a time (seconds since 1970) also when it would be forgotten, `size` bytes at most."""
        known = {id(block) for block in chain(*self._moments)}  # moments may overlap
        self._moments.append(tuple(each for each in self._kept if id(each) not in known and _of(each, start, end)))
        while sum(len(block) for moment in self._moments for block in moment) > self._size:
            self._moments.popleft()

    def packets(self) -> Iterator[Packet]:
        """Yield what was taken and not forgotten, the oldest first."""
        blocks = {struct.unpack_from("<Q", each, _NUMBER)[0]: each for each in chain(*self._moments, self._kept)}
        for _, block in sorted(blocks.items()):
            count, place = struct.unpack_from("<II", block, _COUNT)
            for _ in range(count):
                yield _packet(block, place)
                place += struct.unpack_from("<I", block, place)[0]

    def lost(self) -> int:
        """Return how many packets found no room, since it was made; asking resets the kernel's own count."""
        self._lost += struct.unpack("3I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))[1]
        return self._lost

    def write(self, path: Path, comment: str) -> Kept:
        """Write a file of the packets, and return what is in it."""
        found = list(self.packets())
        path.write_bytes(pcapng(self.interfaces, found, snaplen=SNAPLEN, comment=comment))
        times = [packet.time / 1e9 for packet in found]
        return Kept(packets=len(found), start=min(times, default=0.0), end=max(times, default=0.0), lost=self.lost())

    def _word(self, block: int, offset: int) -> int:
        return int(struct.unpack_from("<I", self._memory, block * BLOCK + offset)[0])


def _of(block: bytes, start: float, end: float) -> bool:
    """Return whether a block has packets of a time."""
    first, first_part, last, last_part = struct.unpack_from("<4I", block, _TIMES)
    return bool(first + first_part / 1e9 <= end and last + last_part / 1e9 >= start)


def _keep_headers(packets: socket.socket) -> None:
    program = b"".join(struct.pack("<HBBI", *each) for each in _PROGRAM)
    buffer = ctypes.create_string_buffer(program)
    packets.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HxxxxxxP", len(_PROGRAM), ctypes.addressof(buffer))
    )


def _packet(memory: bytes, place: int) -> Packet:
    """Return the packet of a tpacket3_hdr."""
    seconds, nanoseconds, kept, length, _status = struct.unpack_from("<5I", memory, place + 4)
    (start,) = struct.unpack_from("<H", memory, place + 24)
    (interface,) = struct.unpack_from("<i", memory, place + _ADDRESS + 4)
    (kind,) = struct.unpack_from("<B", memory, place + _ADDRESS + 10)
    return Packet(
        interface=interface,
        time=seconds * 10**9 + nanoseconds,
        length=length,
        content=memory[place + start : place + start + kept],
        outgoing=kind == _OUTGOING,
    )


@dataclass(slots=True)
class Moments:
    """Follows a history, and lets rings remember what was sent around what it tells of."""

    history: Path
    _place: int = -1
    _open: deque[tuple[float, float]] = field(default_factory=deque)

    def look(self, rings: Mapping[str, Ring], now: float, lead: float) -> None:
        """Look what was added; `now` is on the history's clock, over which the wall clock leads by `lead` seconds."""
        if told := list(self._told()):
            start = min(start for start, _ in told) - _BEFORE
            self._open.append((start, max(end for _, end in told) + _AFTER))
            _remember(rings, start + lead, now + lead)  # now: later these may be forgotten
        while self._open and now >= self._open[0][1] + _RETIRED_MS / 1000:
            start, end = self._open.popleft()
            _remember(rings, start + lead, end + lead)

    def _told(self) -> Iterator[tuple[float, float]]:
        """Yield from when to when that was which the history tells of since it was last looked at."""
        try:
            with self.history.open("rb") as file:
                end = file.seek(0, 2)
                file.seek(end if self._place < 0 else min(self._place, end))
                start = file.tell()
                whole, newline, _torn = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        self._place = start + len(whole) + len(newline)
        telling = (
            line.decode(errors="replace") for line in whole.splitlines() if any(each in line for each in _TELLING)
        )
        for event in events_in(telling):
            # an outage is told when it is over
            yield event.time - (event.data.get("seconds", 0.0) if event.kind == "outage" else 0.0), event.time


def _remember(rings: Mapping[str, Ring], start: float, end: float) -> None:
    for ring in rings.values():
        ring.remember(start, end)


def serve(path: Path, history: Path, rings: Mapping[str, Ring]) -> None:
    """Keep packets, and answer, until killed."""
    began, used = time.monotonic(), time.process_time()
    moments = Moments(history)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        while True:
            ready, _, _ = select.select([listener], [], [], _PERIOD)
            _turn(rings)
            now = time.monotonic()
            moments.look(rings, now, time.time() - now)
            if ready:
                share = (time.process_time() - used) / (time.monotonic() - began)
                with suppress(OSError), listener.accept()[0] as client:  # who asked may be gone
                    answer(client, rings, share)


def answer(client: socket.socket, rings: Mapping[str, Ring], share: float) -> None:
    """Write the packets to the folder that a client names; `share` is the part of a CPU that keeping them takes.

    Raises OSError: the client says nothing, or is gone.
    """
    client.settimeout(_PATIENCE)
    named = client.recv(4096).decode()
    if not named:
        return
    for _ in ticks(_PERIOD, duration=_RETIRED_MS / 1000 + _PERIOD):  # until the latest are closed
        _turn(rings)
    told = {"cpu": round(share, 4), "devices": _written(Path(named), rings)}
    client.sendall(json.dumps(told).encode() + b"\n")


def _turn(rings: Mapping[str, Ring]) -> None:
    for ring in rings.values():
        ring.turn()


def _written(folder: Path, rings: Mapping[str, Ring]) -> dict[str, dict[str, float]]:
    written = {name: ring.write(folder / f"{name}.pcapng", f"latest packets of {name}") for name, ring in rings.items()}
    return {name: asdict(kept) for name, kept in written.items()}


def main(argv: Sequence[str]) -> None:
    """Keep the packets of devices."""
    path, history, size, *devices = argv
    names = dict(each.split("=", 1) for each in devices)
    rings = inside_each(names.values(), lambda _: Ring(int(size)))
    serve(Path(path), Path(history), dict(zip(names, rings, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
