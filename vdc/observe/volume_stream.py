"""Lines that a pod adds to a file on its volume, one by one, as a client outside asks for them over one connection.

A pod that has the volume connects to the client, which listens inside the data centre. The client sends a number; the
pod adds it to the file, lets it reach the disk (fsync(2)), and sends it back: only then it is acknowledged. So what was
acknowledged, and when, is known outside of the pod, to the millisecond, whatever becomes of it. In the pod nothing is
started for a line: its busybox has `printf` and `sync` built into its shell.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Final

from vdc.observe.ops import Gap, Outcome

WRITE: Final = (
    'while read -r line; do [ "$line" != end ] || exit 7; '
    'printf "%s\\n" "$line" >> "$1" && sync "$1" && printf "%s\\n" "$line" || exit 1; done'
)
"""What a shell does for each line that it reads, until `end`: its argument is the file."""

OFFER: Final = """\
left=600
while [ $left -gt 0 ]; do
  nc "$1" "$2" -e sh -c "$4" sh "$3"
  [ $? -ne 7 ] || exit 0
  left=$((left - 1)); sleep 1
done"""
"""What a shell in a pod does to be asked: it connects, again when a connection ends, but not for ever.

Its arguments: the address and the port of the client, the file, and `WRITE`.
"""

CONNECT: Final = f"( {OFFER} ) < /dev/null > /dev/null 2>&1 &"
"""The same while the shell goes on, with the same arguments."""

_END: Final = b"end\n"
_LISTEN: Final = 0.1
"""Seconds between two looks at whether it is time to stop, while nobody is connected."""
_STARVED: Final = 4  # periods late before one counts as a gap

Told = Callable[[float, Outcome, str | None], None]
"""Takes what became of a line: when it was sent, its outcome, and what went wrong."""


@dataclass(slots=True)
class Stream:
    """Asks for a line every `period`, in seconds, but not before the last one was acknowledged or its pod is lost.

    `listener` accepts pods, one after the other. A line without an answer for `patience` seconds ends its connection.
    """

    listener: socket.socket
    period: float
    patience: float
    connected: Event = field(default_factory=Event)
    """Set while a pod is asked."""
    gaps: list[Gap] = field(default_factory=list)
    """When this process was starved, and asked for nothing."""

    @property
    def place(self) -> tuple[str, str]:
        """The address and the port for pods to connect to."""
        host, port = self.listener.getsockname()[:2]
        return host, str(port)

    def run(self, following: Callable[[], str], told: Told, stop: Event) -> None:
        """Ask until `stop`; `following` returns the line to ask for next."""
        self.listener.settimeout(_LISTEN)
        with self.listener:
            while not stop.is_set():
                try:
                    pod, _ = self.listener.accept()
                except TimeoutError:
                    continue
                with pod:
                    self._ask(pod, following, told, stop)

    def _ask(self, pod: socket.socket, following: Callable[[], str], told: Told, stop: Event) -> None:
        pod.settimeout(self.patience)
        pod.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = pod.makefile("rb")
        self.connected.set()
        begun = time.monotonic()
        try:
            while not self._paused(begun, stop):
                begun, line = time.monotonic(), f"{following()}\n".encode()
                error = _asked(pod, line, answers.readline)
                told(begun, Outcome.UNKNOWN if error else Outcome.OK, error)
                if error:
                    return
            pod.sendall(_END)
        except OSError:
            return  # it is gone already
        finally:
            self.connected.clear()
            answers.close()

    def _paused(self, begun: float, stop: Event) -> bool:
        """Wait until a period is over, and return whether it is time to stop instead."""
        due = max(begun + self.period, time.monotonic())
        if stop.wait(due - time.monotonic()):
            return True
        late = time.monotonic() - due
        if late > _STARVED * self.period:
            self.gaps.append(Gap(end=due + late, seconds=late))
        return False


def _asked(pod: socket.socket, line: bytes, answer: Callable[[], bytes]) -> str | None:
    """Ask for a line; return what went wrong, if anything did."""
    try:
        pod.sendall(line)
        said = answer()
    except OSError as error:
        return str(error) or type(error).__name__
    if said != line:
        return f"the pod answered {said!r}" if said else "the pod ended the connection"
    return None
