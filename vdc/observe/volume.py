"""Writes to the volume of a pod while something happens to it: what was acknowledged must be there afterwards.

Each write is a command in the pod, which ends well when the file is on the disk (`sync`): so the harness outside knows
what was acknowledged and when, whatever becomes of the pod.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.cluster.kubernetes.workloads import VOLUME
from vdc.datacenter.pace import lasting
from vdc.errors import ClusterError, WaitTimeout
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import Watch

APPEND: Final = 'printf "%s\\n" "$2" >> "$1" && sync'
"""What a shell in a pod does to add a line to a file, and to let it reach the disk: its arguments."""

_PERIOD: Final = 0.01
"""Seconds from the end of a write to the next, at least: a command in a pod takes longer by itself."""
_TIMEOUT: Final = 10.0
_FIRST: Final = 3  # writes before and after the body


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
        key = f"{len(self.operations):07d}"
        begun, outcome, error = time.monotonic(), Outcome.FAILED, None
        try:
            self._last = self._last if self._known else self._pod()
            self._known, outcome = False, Outcome.UNKNOWN
            argv = ["sh", "-c", APPEND, "sh", self.path, key]
            self._kubernetes.run_in(self._last, argv, timeout=_TIMEOUT)
            self._known, outcome = True, Outcome.OK
        except (ClusterError, WaitTimeout) as caught:
            error = caught.message
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

    def held(self) -> dict[str, str]:
        """Return what the volume holds. Raises ClusterError."""
        said = self._kubernetes.run_in(self._pod(), ["cat", self.path])
        return {line: line for line in said.splitlines()}


@contextmanager
def writing(kubernetes: KubernetesCluster, pod: Callable[[], Pod]) -> Iterator[Watch]:
    """Write to a volume for the body, through the pod that has it (`pod` returns that, ready), and read it after it.

    All of it is in the history, too. Raises ClusterError, WaitTimeout: no pod has it before the body or after it.
    """
    writer, stop = _Writer(kubernetes, pod), Event()
    watch = Watch(prefix=writer.path, started=time.monotonic())
    for _ in range(_FIRST):
        writer.write()

    def go_on() -> None:
        while not stop.wait(_PERIOD):
            writer.write()

    thread = Thread(target=go_on, name="writing", daemon=True)
    if lasting(kubernetes.dc, 1.0):  # in simulated time it would never let anything else happen
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()
        watch.ended = time.monotonic()
        source = f"volume-probe {writer.path}"
        kubernetes.dc.recorder.write([operation.to_event(source) for operation in writer.operations])
    for _ in range(_FIRST):
        writer.write()
    watch.operations = tuple(writer.operations)
    watch.final = {"the volume": writer.held()}
