"""Holds packets back, doubles, changes or drops them, for the time of a fault: a process of its own.

    python packet_relay.py NAME TAP SOCKET SETTINGS

It reads frames from the tap whose file descriptor is TAP and sends them over the packet socket SOCKET (packet(7)).
SETTINGS are the fields of `vdc.model.disturbance.Disturbance` as JSON. NAME is there to be found by. A program of the
standard library alone, run by its path, so that it starts at once.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Final

_ETHERNET: Final = 14
_FRAME: Final = 65536
_MOST: Final = 20_000
"""Frames that are held at once; more are dropped, as by a full queue."""
_QUEUE_SECONDS: Final = 0.2
"""Of frames that wait for a slow wire; more are dropped."""
_AT_ONCE: Final = 64


class Fates:
    """Decides when a frame goes out, how often, and what it is then. Times are seconds of one clock."""

    def __init__(self, settings: Mapping[str, float], dice: random.Random) -> None:
        self._is = settings
        self._dice = dice
        self._free = 0.0
        self._latest = 0.0

    def of(self, frame: bytes, now: float) -> Iterator[tuple[float, bytes]]:
        """Yield when, and what; nothing if it is dropped."""
        if 0 < self._is["mtu"] < len(frame) - _ETHERNET:
            return
        sent = now
        if self._is["rate"]:
            sent = max(now, self._free)
            if sent - now > _QUEUE_SECONDS:
                return
            self._free = sent = sent + 8 * len(frame) / self._is["rate"]
        for _ in range(2 if self._happens("duplicate") else 1):
            due = sent + self._is["delay"] + self._dice.uniform(-1, 1) * self._is["jitter"]
            if self._happens("reorder"):
                due += self._is["held_back"]
            else:
                due = self._latest = max(due, self._latest)
            yield due, self._turned(frame) if self._happens("corrupt") else frame

    def _happens(self, what: str) -> bool:
        return self._is[what] > 0 and self._dice.random() < self._is[what]

    def _turned(self, frame: bytes) -> bytes:
        changed = bytearray(frame)
        bit = self._dice.randrange(8 * min(_ETHERNET, len(frame) - 1), 8 * len(frame))
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


def relay(tap: int, out: int, fates: Fates) -> None:
    """Relay until killed."""
    waiting: list[tuple[float, int, bytes]] = []
    number = 0
    os.set_blocking(tap, False)
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        select.select([tap], [], [], pause)
        for frame in _frames(tap):
            for due, what in fates.of(frame, time.monotonic()):
                if len(waiting) < _MOST:
                    number += 1
                    heapq.heappush(waiting, (due, number, what))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _send(out, heapq.heappop(waiting)[2])


def _frames(tap: int) -> Iterator[bytes]:
    for _ in range(_AT_ONCE):
        try:
            yield os.read(tap, _FRAME)
        except OSError:  # no more; or the tap is down, as all links of a router without power
            return


def _send(out: int, frame: bytes) -> None:
    try:
        os.write(out, frame)
    except OSError:  # the wire is down, or its queue full: lost, as on any wire
        return


if __name__ == "__main__":
    relay(int(sys.argv[2]), int(sys.argv[3]), Fates(json.loads(sys.argv[4]), random.Random()))
