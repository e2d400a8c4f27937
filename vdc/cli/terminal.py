"""A person's terminal on a guest's console: raw, both ways, until the escape key."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdc.errors import VdcError

ESCAPE = b"\x1d"
"""Ctrl-], as in telnet and `virsh console`."""

_CHUNK = 65536


def attach(console: Path, *, keyboard: int | None = None, screen: int | None = None) -> str:
    """Connect the terminal to a unix socket until Ctrl-], the end of input or the end of the guest.

    Returns why it ended. The socket serves one viewer at a time: raises VdcError if there is one already, or if
    nobody listens.
    """
    keys = sys.stdin.fileno() if keyboard is None else keyboard
    shown = sys.stdout.fileno() if screen is None else screen
    with _only_viewer(console), _connected(console) as line, _raw(keys):
        return _relay(line, keys, shown)


def _relay(line: socket.socket, keys: int, shown: int) -> str:
    socket_number = line.fileno()
    while True:
        ready, _, _ = select.select([socket_number, keys], [], [])
        if socket_number in ready:
            data = line.recv(_CHUNK)
            if not data:
                return "the guest closed the console"
            os.write(shown, data)
        if keys in ready:
            typed = os.read(keys, _CHUNK)
            before, escaped, _ = typed.partition(ESCAPE)
            line.sendall(before)
            if escaped or not typed:
                return "detached"


@contextmanager
def _only_viewer(console: Path) -> Iterator[None]:
    with console.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VdcError(
                f"somebody is on {console} already", hint="the recorded console: vdc logs N SERVER --follow"
            ) from None
        yield


@contextmanager
def _connected(console: Path) -> Iterator[socket.socket]:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with line:
        try:
            line.connect(str(console))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise VdcError(f"nobody listens on {console}: is the server powered off?") from error
        yield line


@contextmanager
def _raw(keys: int) -> Iterator[None]:
    """Pass every key on, and give the terminal back as it was; what is no terminal is left alone."""
    if not os.isatty(keys):
        yield
        return
    before = termios.tcgetattr(keys)
    tty.setraw(keys)
    try:
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
