"""Packets become a file that other programs read, and what was sent around a moment is remembered."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Recorder
from vdc.host.packet_ring import Moments, Ring
from vdc.host.pcapng import Packet, pcapng

PACKETS = st.builds(
    Packet,
    interface=st.sampled_from([2, 3, 9]),
    time=st.integers(0, 2**63),
    length=st.integers(0, 2**31),
    content=st.binary(max_size=200),
    outgoing=st.booleans(),
)


def _blocks(file: bytes) -> list[tuple[int, bytes]]:
    found, place = [], 0
    while place < len(file):
        kind, length = struct.unpack_from("<II", file, place)
        assert length % 4 == 0
        assert struct.unpack_from("<I", file, place + length - 4) == (length,)
        found.append((kind, file[place + 8 : place + length - 4]))
        place += length
    assert place == len(file)
    return found


@given(st.lists(PACKETS, max_size=20))
def test_every_packet_of_a_known_interface_is_in_the_file_as_it_was(packets: list[Packet]) -> None:
    section, *interfaces = (blocks := _blocks(pcapng({2: "eth0", 3: "eth1"}, packets, snaplen=96, comment="it")))[:3]
    assert (section[0], section[1][:4]) == (0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D))
    assert [kind for kind, _ in interfaces] == [1, 1]
    assert b"eth1" in interfaces[1][1]
    told = []
    for kind, body in blocks[3:]:
        assert kind == 6
        place, high, low, kept, length = struct.unpack_from("<5I", body)
        (direction,) = struct.unpack_from("<I", body, 20 + kept + -kept % 4 + 4)
        told.append((place + 2, high << 32 | low, length, body[20 : 20 + kept], direction == 2))
    assert told == [
        (packet.interface, packet.time, packet.length, packet.content, packet.outgoing)
        for packet in packets
        if packet.interface != 9
    ]


class _Ring:
    """Hears what is to be remembered."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    def remember(self, start: float, end: float) -> None:
        self.asked.append((start, end))


def test_a_fault_is_a_moment_from_before_it_until_after_it(tmp_path: Path) -> None:
    recorder, ring = Recorder(tmp_path / "history.jsonl"), _Ring()
    moments, rings = Moments(recorder.path), cast(dict[str, Ring], {"tor": ring})
    moments.look(rings, 100.0)
    recorder.record("fault", "harness", name="old", phase="bites")
    moments.look(rings, 101.0)
    assert ring.asked == [], "what was there when it first looked is none"
    recorder.record("note", "harness", name="nothing")
    moments.look(rings, 102.0)
    assert ring.asked == []
    recorder.record("fault", "harness", name="spine0 off", phase="inject")
    moments.look(rings, 103.0)
    assert ring.asked == [(101.0, 103.0)]
    recorder.record("power", "harness", server="spine0", action="off")
    moments.look(rings, 103.1)
    moments.look(rings, 107.9)
    assert len(ring.asked) == 1, "one moment at a time"
    moments.look(rings, 108.0)
    assert ring.asked[1:] == [(103.0, 106.0)]
    moments.look(rings, 120.0)
    assert len(ring.asked) == 2
