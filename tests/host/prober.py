"""A flow of numbered datagrams and its echo: `prober.py echo ADDRESS` and `prober.py probe ADDRESS`.

A probe sends from several ports, so that every way of equal cost is used, and on SIGTERM prints, after it has waited
for what is still on its way, how many were sent and which came back.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from types import FrameType

from vdc.wait import ticks

PORT = 7007
FLOWS = 8
PERIOD = 0.01
_LAST_SECONDS = 1.0
_SO_RCVBUFFORCE = 33  # socket(7); Python has no name for it
_NUMBER = struct.Struct("!I")


class Stopped(Exception):  # noqa: N818 - a state, not an error
    """It was asked to end."""


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def opened(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    # what waits while this process does not run must not be taken for lost
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
    return made


def echo(address: str) -> None:
    """Send back whatever comes."""
    with opened(address) as server:
        server.bind((address, PORT))
        while True:
            data, sender = server.recvfrom(64)
            server.sendto(data, sender)


def probe(address: str, source: str) -> None:
    """Send a datagram from each port at every tick; print the number sent and the numbers lost."""
    flows = [opened(address) for _ in range(FLOWS)]
    for flow in flows:
        if source:
            flow.bind((source, 0))
        flow.connect((address, PORT))
        flow.setblocking(False)
    wait_answered(flows[0])
    sent, back = 0, set[int]()
    signal.signal(signal.SIGTERM, stop)
    try:
        for _ in ticks(PERIOD):
            for flow in flows:
                send(flow, sent)
                sent += 1
            back.update(numbers(flows, 0.0))
    except Stopped:
        for _ in ticks(0.1, duration=_LAST_SECONDS):
            back.update(numbers(flows, 0.1))
    print(json.dumps({"sent": sent, "lost": sorted(set(range(sent)) - back)}), flush=True)  # noqa: T201


def wait_answered(flow: socket.socket) -> None:
    """Return when the other end is there, and say so."""
    for _ in ticks(PERIOD):
        send(flow, 0)
        if numbers([flow], PERIOD):
            break
    print("ready", flush=True)  # noqa: T201


def send(flow: socket.socket, number: int) -> None:
    with suppress(OSError):  # what is refused does not come back
        flow.send(_NUMBER.pack(number))


def numbers(flows: list[socket.socket], wait: float) -> list[int]:
    """Return the numbers that have come back."""
    found = []
    for flow in select.select(flows, [], [], wait)[0]:
        while True:
            try:
                found.append(_NUMBER.unpack(flow.recv(64))[0])
            except OSError:  # no more, or what was sent was refused
                break
    return found


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(sys.argv[2])
    else:
        probe(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
