"""Packets become a file that other programs read, and what was sent around a moment is remembered."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event, Recorder
from vdc.host.packet_ring import Moments, Ring, answer
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


def _event(kind: str, time: float, **data: object) -> Event:
    return Event(time=time, kind=kind, source="harness", data=data)


LEAD = 1000.0


def test_a_fault_is_a_moment_from_before_it_until_after_it(tmp_path: Path) -> None:
    recorder, ring = Recorder(tmp_path / "history.jsonl"), _Ring()
    moments, rings = Moments(recorder.path), cast(dict[str, Ring], {"tor": ring})
    moments.look(rings, 100.0, LEAD)
    recorder.write([_event("fault", 100.5, phase="bites")])
    moments.look(rings, 101.0, LEAD)
    assert ring.asked == [], "what was there when it first looked is none"
    recorder.write([_event("note", 101.5, name="nothing")])
    moments.look(rings, 102.0, LEAD)
    assert ring.asked == []
    recorder.write([_event("fault", 102.5, phase="inject")])
    moments.look(rings, 103.0, LEAD)
    assert ring.asked == [(1100.5, 1103.0)]
    moments.look(rings, 107.4, LEAD)
    assert len(ring.asked) == 1
    moments.look(rings, 107.5, LEAD)
    assert ring.asked[1:] == [(1100.5, 1105.5)]
    moments.look(rings, 120.0, LEAD)
    assert len(ring.asked) == 2


def test_an_outage_is_a_moment_from_before_it_began(tmp_path: Path) -> None:
    recorder, ring = Recorder(tmp_path / "history.jsonl"), _Ring()
    moments, rings = Moments(recorder.path), cast(dict[str, Ring], {"tor": ring})
    recorder.start()
    moments.look(rings, 100.0, 0.0)
    recorder.write([_event("outage", 110.0, seconds=8.0, lost=1)])
    moments.look(rings, 110.1, 0.0)
    moments.look(rings, 115.0, 0.0)
    assert ring.asked == [(100.0, 110.1), (100.0, 113.0)]


def test_a_moment_soon_after_another_is_one_too(tmp_path: Path) -> None:
    recorder, ring = Recorder(tmp_path / "history.jsonl"), _Ring()
    moments, rings = Moments(recorder.path), cast(dict[str, Ring], {"tor": ring})
    recorder.start()
    moments.look(rings, 100.0, 0.0)
    for time in (101.0, 104.0):
        recorder.write([_event("power", time, server="spine0", action="off")])
        moments.look(rings, time, 0.0)
    moments.look(rings, 109.0, 0.0)
    assert ring.asked == [(99.0, 101.0), (102.0, 104.0), (99.0, 104.0), (102.0, 107.0)]


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    history, ring = tmp_path / "history.jsonl", _Ring()
    moments, rings = Moments(history), cast(dict[str, Ring], {"tor": ring})
    history.touch()
    moments.look(rings, 100.0, 0.0)
    line = _event("power", 101.0, server="spine0", action="off").to_line()
    history.write_text(line[:-9])
    moments.look(rings, 101.1, 0.0)
    history.write_text(line)
    moments.look(rings, 101.2, 0.0)
    assert ring.asked == [(99.0, 101.2)]


@pytest.mark.parametrize("said", [b"", None], ids=["gone", "silent"])
def test_who_names_no_folder_gets_nothing_and_holds_up_nobody(said: bytes | None, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, suppress(TimeoutError):
        if said is not None:
            theirs.shutdown(socket.SHUT_WR)
        answer(ours, {}, 0.0)
    assert list(tmp_path.iterdir()) == []
