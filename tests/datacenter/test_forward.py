"""The forward of TCP connections: what goes in on one side comes out on the other, and nothing is left behind."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing

import pytest

from vdc.errors import BuildError
from vdc.host.forward import LOOPBACK, Forward, Target, listen
from vdc.wait import NotYet, wait_for


class Echo:
    """Answers with a name, then with what it is sent until the other side has no more; counts connections."""

    def __init__(self, name: str) -> None:
        self.listener = listen()
        self.target: Target = self.listener.getsockname()
        self.name = name
        self.ended = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(self.name.encode())
            try:
                while piece := connection.recv(65536):
                    connection.sendall(piece)
            except OSError:
                pass
        self.ended += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo("one:")
    yield server
    server.listener.close()


def nobody() -> Target:
    """A port that refuses."""
    with closing(listen()) as listener:
        target: Target = listener.getsockname()
    return target


def said(port: int, text: bytes) -> bytes:
    """What is answered to a text after which nothing more is sent."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("forward")}


def test_both_directions_are_joined_and_the_end_of_one_leaves_the_other(echo: Echo) -> None:
    forward = Forward([echo.target])
    text = b"x" * 1_000_000
    assert said(forward.port, text) == b"one:" + text
    forward.close()


def test_a_target_that_refuses_is_passed_over(echo: Echo) -> None:
    forward = Forward([nobody(), echo.target])
    assert said(forward.port, b"hello") == b"one:hello"
    forward.close()


def test_one_that_is_silent_costs_little_and_is_not_asked_first_again(echo: Echo) -> None:
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        with closing(socket.create_connection(full.getsockname())):
            # nobody accepts: from here on the kernel is silent to who wants to connect
            forward = Forward([full.getsockname(), echo.target])
            begun = time.monotonic()
            assert said(forward.port, b"") == b"one:"
            assert 0.2 < time.monotonic() - begun < 2.5
            begun = time.monotonic()
            assert said(forward.port, b"") == b"one:"
            assert time.monotonic() - begun < 0.2
            forward.close()


def test_where_no_target_answers_the_connection_ends(echo: Echo) -> None:
    del echo
    forward = Forward([nobody()])
    assert said(forward.port, b"") == b""
    forward.close()


def test_closing_ends_connections_and_threads(echo: Echo) -> None:
    forward = Forward([echo.target])
    with socket.create_connection((LOOPBACK, forward.port), timeout=5) as connection:
        assert connection.recv(4) == b"one:"
        forward.close()
        with pytest.raises(ConnectionError):  # noqa: PT012 - a reset may be seen by either
            connection.sendall(b"more")
            if connection.recv(10) == b"":
                raise ConnectionResetError

    def ended() -> None:
        if echo.ended != 1 or threads():
            raise NotYet(f"{echo.ended} ended, {threads()}")

    wait_for(ended, what="the far end to see it", timeout=5)
    with pytest.raises(ConnectionRefusedError):
        said(forward.port, b"")


def test_connections_that_come_while_it_is_closed_are_closed_too(echo: Echo) -> None:
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(100):
            forward = Forward([echo.target])
            clients = [socket.create_connection((LOOPBACK, forward.port)) for _ in range(3)]
            forward.close()
            for client in clients:
                client.close()
            del forward
        gc.collect()
    assert [str(each.message) for each in left] == []


def test_a_forward_that_nobody_knows_is_closed(echo: Echo) -> None:
    port = Forward([echo.target]).port
    gc.collect()
    assert not threads()
    with pytest.raises(ConnectionRefusedError):
        said(port, b"")


def test_a_namespace_that_is_not_there_is_told() -> None:
    with pytest.raises(BuildError, match="namespace:nowhere"):
        Forward([nobody()], netns="nowhere")
    assert not threads()
