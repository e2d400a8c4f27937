"""The control socket of a BIRD."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class FakeBird:
    """Answers on a control socket as BIRD does."""

    def __init__(self, path: Path, *replies: bytes) -> None:
        self.heard: list[bytes] = []
        self._replies = replies
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.sendall(b"0001 BIRD 2.0.12 ready.\n")
            self.heard.append(connection.recv(1000))
            for reply in self._replies:
                connection.sendall(reply)

    def close(self) -> None:
        self._thread.join()
        self._socket.close()
