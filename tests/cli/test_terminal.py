from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vdc.cli.terminal import attach
from vdc.errors import VdcError


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[socket.socket]:
    """A console that says hello to whoever attaches."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c.sock"))
        server.listen(1)
        yield server


def greet(guest: socket.socket, heard: list[bytes]) -> None:
    line, _ = guest.accept()
    with line:
        line.sendall(b"hello")
        while data := line.recv(100):
            heard.append(data)


def test_keys_go_to_the_guest_until_the_escape_and_its_words_to_the_screen(
    tmp_path: Path, guest: socket.socket
) -> None:
    heard: list[bytes] = []
    thread = threading.Thread(target=greet, args=(guest, heard))
    thread.start()
    keys, typing = os.pipe()
    seen, screen = os.pipe()
    os.write(typing, b"reboot\r")
    typist = threading.Thread(target=lambda: (os.read(seen, 5) == b"hello" and os.write(typing, b"x\x1dy"), None))
    typist.start()
    assert attach(tmp_path / "c.sock", keyboard=keys, screen=screen) == "detached"
    thread.join(5)
    typist.join(5)
    assert b"".join(heard) == b"reboot\rx"
    for handle in (keys, typing, seen, screen):
        os.close(handle)


def test_a_second_viewer_is_told_that_there_is_one(tmp_path: Path, guest: socket.socket) -> None:
    thread = threading.Thread(target=greet, args=(guest, []))
    thread.start()
    keys, typing = os.pipe()
    seen, screen = os.pipe()
    first = threading.Thread(target=lambda: (attach(tmp_path / "c.sock", keyboard=keys, screen=screen), None))
    first.start()
    assert os.read(seen, 5) == b"hello"
    with pytest.raises(VdcError, match="already"):
        attach(tmp_path / "c.sock", keyboard=keys, screen=screen)
    os.write(typing, b"\x1d")
    first.join(5)
    thread.join(5)
    for handle in (keys, typing, seen, screen):
        os.close(handle)


def test_a_server_without_power_has_no_console(tmp_path: Path) -> None:
    keys, typing = os.pipe()
    with pytest.raises(VdcError, match="powered off") as caught:
        attach(tmp_path / "none.sock", keyboard=keys, screen=1)
    assert caught.value.exit_code == 1
    os.close(keys)
    os.close(typing)
