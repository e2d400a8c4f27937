"""Writes to the volume of a pod while something happens to it: what was acknowledged must be there afterwards.

Before the body and after it each write is a command in the pod (`exec`), which ends well when the file is on the disk.
In the body a client outside asks the pod for one line after the other, over a connection (`vdc.observe.volume_stream`):
a command for each would take an emulated cluster seconds.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from typing import Final

from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.cluster.kubernetes.workloads import VOLUME
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline, lasting
from vdc.errors import ClusterError, HostError, WaitTimeout
from vdc.history import Event as Recorded
from vdc.host import namespaces
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import PERIOD, SHORTEST_PERIOD, Watch
from vdc.observe.volume_stream import CONNECT, WRITE, Stream
from vdc.wait import NotYet, wait_for

APPEND: Final = 'printf "%s\\n" "$2" >> "$1" && sync'
"""What a shell in a pod does to add a line to a file, and to let it reach the disk: its arguments."""

_TIMEOUT: Final = 10.0
_FIRST: Final = 3  # writes before and after the body
_LINES: Final = 20
"""How many lines must be acknowledged over the connection before the body begins, and again when it has ended well."""
_CONNECTED_SECONDS: Final = 60.0
_LOOK: Final = 1.0
"""Seconds between two looks for a pod while none is connected: each costs the API a request."""


class _Writer:
    def __init__(self, kubernetes: KubernetesCluster, pod: Callable[[], Pod]) -> None:
        self._kubernetes = kubernetes
        self._pod = pod
        self._last = pod()
        self._known = True
        self.path = f"{VOLUME}/log-{uuid.uuid4().hex[:8]}"
        self.operations: list[Operation] = []

    def write(self) -> None:
        """Add a line with the next number, in whatever pod has the volume now."""
        begun, outcome, error = time.monotonic(), Outcome.FAILED, None
        try:
            self._last = self._last if self._known else self._pod()
            self._known, outcome = False, Outcome.UNKNOWN
            argv = ["sh", "-c", APPEND, "sh", self.path, self.following()]
            self._kubernetes.run_in(self._last, argv, timeout=_TIMEOUT)
            self._known, outcome = True, Outcome.OK
        except (ClusterError, WaitTimeout) as caught:
            error = caught.message
        self.told(begun, outcome, error)

    def following(self) -> str:
        """Return the next line."""
        return f"{len(self.operations):07d}"

    def told(self, begun: float, outcome: Outcome, error: str | None) -> None:
        """Keep what became of the next line."""
        key = self.following()
        self.operations.append(
            Operation(
                op="write",
                key=key,
                value=key,
                start=begun,
                end=time.monotonic(),
                outcome=outcome,
                member=self._last.name,
                error=error,
            )
        )

    def connect(self, stream: Stream, stop: Event) -> None:
        """Let each pod that has the volume connect to a client, until `stop`: once each, for it goes on by itself."""
        begun: set[tuple[str, int]] = set()
        place = stream.place
        while not stop.is_set():
            if not stream.connected.is_set():
                with suppress(ClusterError, WaitTimeout):
                    pod = self._pod()
                    if (pod.uid, pod.restarts) not in begun:
                        self._last, self._known = pod, False
                        argv = ["sh", "-c", CONNECT, "sh", *place, self.path, WRITE]
                        self._kubernetes.run_in(pod, argv, timeout=_TIMEOUT)
                        begun.add((pod.uid, pod.restarts))
            stop.wait(_LOOK)

    def held(self) -> dict[str, str]:
        """Return what the volume holds. Raises ClusterError."""
        said = self._kubernetes.run_in(self._pod(), ["cat", self.path])
        return {line: line for line in said.splitlines()}


@contextmanager
def writing(kubernetes: KubernetesCluster, pod: Callable[[], Pod]) -> Iterator[Watch]:
    """Write to a volume for the body, through the pod that has it (`pod` returns that, ready), and read it after it.

    In the body lines go as often as etcd is sampled, and all of it is in the history, too. In simulated time nobody is
    asked meanwhile: it would never let anything else happen.

    Raises ClusterError, WaitTimeout: no pod has it before the body or after it; HostError: no client is outside.
    """
    writer = _Writer(kubernetes, pod)
    watch = Watch(prefix=writer.path, started=time.monotonic())
    for _ in range(_FIRST):
        writer.write()
    try:
        if lasting(kubernetes.dc, 1.0):
            with _streaming(kubernetes.dc, writer, watch):
                yield watch
        else:
            yield watch
    finally:
        watch.ended = time.monotonic()
        source = f"volume-probe {writer.path}"
        starved = (
            Recorded(time=gap.end, kind="gap", source=source, data={"seconds": gap.seconds}) for gap in watch.gaps
        )
        kubernetes.dc.recorder.write([*(each.to_event(source) for each in writer.operations), *starved])
    for _ in range(_FIRST):
        writer.write()
    watch.operations = tuple(writer.operations)
    watch.final = {"the volume": writer.held()}


@contextmanager
def _streaming(dc: DataCenter, writer: _Writer, watch: Watch) -> Iterator[None]:
    """Ask for lines for the body, which begins when some were acknowledged, and until some are after it.

    Raises WaitTimeout: none are.
    """
    period = min(PERIOD, max(SHORTEST_PERIOD, PERIOD * dc.slowness))
    stream, stop = Stream(listener(dc), period=period, patience=deadline(dc, _TIMEOUT)), Event()
    asking = partial(stream.run, writer.following, writer.told, stop)
    threads = [
        Thread(target=asking, name="asking a volume", daemon=True),
        Thread(target=partial(writer.connect, stream, stop), name="connecting a volume", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        _wait_taken(dc, writer)
        watch.started = time.monotonic()
        yield
        _wait_taken(dc, writer)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        watch.gaps = tuple(stream.gaps)


def _wait_taken(dc: DataCenter, writer: _Writer) -> None:
    known = len(writer.operations)

    def taken() -> None:
        since = writer.operations[known:]
        if sum(operation.ok for operation in since) < _LINES:
            raise NotYet("; ".join(each.error for each in since if each.error) or "no pod has connected")

    wait_for(taken, what="a volume to take lines", timeout=deadline(dc, _CONNECTED_SECONDS), interval=0.1)


def listener(dc: DataCenter) -> socket.socket:
    """Return a socket on which a client outside listens, at its IPv4 address: pods have no other. Raises HostError."""
    client = client_of(dc).name
    addresses = [each for place in dc.topology.externals if place.name == client for each in place.addresses]
    address = next((str(each.ip) for each in addresses if each.version == 4), None)
    if address is None:
        raise HostError(f"{client} has no IPv4 address, so no pod can be asked from there")
    return namespaces.inside(dc.netns(client), lambda: socket.create_server((address, 0)))
