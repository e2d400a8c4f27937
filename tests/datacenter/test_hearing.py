"""What is not heard was not sent, unless more came than could be kept."""

from __future__ import annotations

import struct

import pytest

from vdc.host.ears import Ear, hear
from vdc.wait import NotYet


class Way:
    """A packet socket of a namespace: what came to it, and how much found no room."""

    def __init__(self, *frames: bytes, dropped: int) -> None:
        self.frames = list(frames)
        self.dropped = dropped

    def __enter__(self) -> Way:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int, int]]:
        if not self.frames:
            raise BlockingIOError
        return self.frames.pop(), ("eth0", 0, 0)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (263, 6, 8)  # packet(7)
        return struct.pack("II", 9, self.dropped)


@pytest.mark.parametrize(
    ("frames", "dropped", "came"),
    [((b"..first..", b"second"), 3, {b"first", b"second"}), ((b"first",), 0, {b"first"})],
)
def test_what_was_heard_or_could_have_been_is_told(
    frames: tuple[bytes, ...], dropped: int, came: set[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdc.host.ears.namespaces.inside", lambda *_: Way(*frames, dropped=dropped))
    there = Ear(netns="there")
    assert hear({b"first": there, b"second": there}, lambda: None) == came


def test_nobody_knows_what_found_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.host.ears.namespaces.inside", lambda *_: Way(b"first", dropped=3))
    there = Ear(netns="there")
    with pytest.raises(NotYet, match="3 packets in there came too fast to be heard"):
        hear({b"first": there, b"second": there}, lambda: None)
