"""Joins its input and output with a TCP connection: `ProxyCommand nsenter … python -m vdc.host.relay ADDRESS PORT`.

A process of its own for ssh(1), made from the standard library alone so that it starts at once.
"""

from __future__ import annotations

import socket
import sys
from threading import Thread
from typing import BinaryIO, Final

_PIECE: Final = 65536
_PATIENCE: Final = 10.0
"""Seconds until a connection must be there."""


def main(argv: list[str]) -> int:
    """Connect and copy both ways until the far end closes. Returns 1 if it cannot be reached."""
    address, port = argv
    try:
        connection = socket.create_connection((address, int(port)), timeout=_PATIENCE)
    except OSError as error:
        sys.stderr.write(f"{address} port {port}: {error}\n")
        return 1
    with connection:
        connection.settimeout(None)
        Thread(target=_send, args=(sys.stdin.buffer, connection), daemon=True).start()
        _receive(connection, sys.stdout.buffer)
    return 0


def _send(source: BinaryIO, connection: socket.socket) -> None:
    while piece := source.read1(_PIECE):  # type: ignore[attr-defined] # standard input is buffered
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)


def _receive(connection: socket.socket, sink: BinaryIO) -> None:
    while piece := connection.recv(_PIECE):
        sink.write(piece)
        sink.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
