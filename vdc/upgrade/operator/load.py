"""Users of the custom resource: objects are made and changed all the time, in every version that is served.

Each object has a text that must stay, and a number that grows with each change: what was acknowledged is what the
number has reached.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import NOT_FOUND, RefusedError
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import lasting
from vdc.errors import ClusterError
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import Watch
from vdc.upgrade.operator.manifests import flock
from vdc.upgrade.operator.program import COLOUR, NO_COLOUR, V1, V2
from vdc.upgrade.operator.site import Site

FIELDS: Final[Mapping[str, tuple[str, str]]] = {V1: ("size", "note"), V2: ("replicas", "description")}
"""What each version calls the number and the text."""

_PERIOD: Final = 0.5
"""Seconds from the end of a write to the next: an emulated API server has others to answer."""
_EACH: Final = 3  # writes to an object
_FIRST: Final = 2  # objects before and after the body
_CLIENT_ERRORS: Final = range(400, 500)
_COLOUR: Final = "black"
"""What users of v2 give their objects, in a field that v1 has not: those of v1 must not take it away."""


class Writer:
    """Makes objects one after the other, and changes each, by turns in one version and the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.prefix = f"herd-{uuid.uuid4().hex[:6]}"
        self._turn = 0
        self._number = 0
        self._colour = NO_COLOUR
        self._objects = 0
        self.operations: list[Operation] = []

    def write(self) -> None:
        """Make one write: in the version whose turn it is, or in the other where that one is not served."""
        self._turn += 1
        order = (V1, V2) if self._turn % 2 else (V2, V1)
        if not self._written(order[0], last=False):
            self._written(order[1], last=True)

    def fill(self) -> None:
        """Write some objects wholly."""
        for _ in range(_FIRST * _EACH):
            self.write()

    def _written(self, version: str, *, last: bool) -> bool:
        """Try; return whether there is nothing to try in another version."""
        name, text = f"{self.prefix}-{self._objects}", f"the text of herd {self._objects}"
        number = self._number + 1
        begun, outcome, error = time.monotonic(), Outcome.UNKNOWN, None
        try:
            self._site.write(self._next(name, version, number, text))
            outcome = Outcome.OK
        except RefusedError as refusal:
            if refusal.status == NOT_FOUND and not last:
                return False
            outcome = Outcome.FAILED if refusal.status in _CLIENT_ERRORS else Outcome.UNKNOWN
            error = refusal.message
        except ClusterError as broken:
            error = broken.message
        self.operations.append(
            Operation(
                op="write",
                key=f"{name}@{number}",
                value=_value(text, self._colour),
                start=begun,
                end=time.monotonic(),
                outcome=outcome,
                member=version,
                error=error,
            )
        )
        self._number = number
        if outcome is not Outcome.OK or number == _EACH:
            # what became of a write that was not acknowledged nobody knows: the next object is another one
            self._objects, self._number = self._objects + 1, 0
        return True

    def _next(self, name: str, version: str, number: int, text: str) -> Manifest:
        if number == 1:
            self._colour = _COLOUR if version == V2 else NO_COLOUR
            made = flock(name, version, number, text)
            return {**made, "spec": {**made["spec"], "colour": _COLOUR}} if version == V2 else made
        found = self._site.flock(version, name)
        return {**found, "spec": {**found["spec"], FIELDS[version][0]: number}}


@contextmanager
def writing(dc: DataCenter, site: Site) -> Iterator[Watch]:
    """Write for the body, and read all after it: each number that an object has reached, with its text then.

    All of it is in the history, too. Raises ClusterError.
    """
    writer, stop = Writer(site), Event()
    watch = Watch(prefix=writer.prefix, started=time.monotonic())
    writer.fill()

    def go_on() -> None:
        while not stop.wait(_PERIOD):
            writer.write()

    thread = Thread(target=go_on, name="writing flocks", daemon=True)
    if lasting(dc, 1.0):  # in simulated time it would never let anything else happen
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()
        watch.ended = time.monotonic()
        dc.recorder.write([operation.to_event("flock-probe") for operation in writer.operations])
    writer.fill()
    watch.operations = tuple(writer.operations)


def held(site: Site, version: str, *, prefix: str = "") -> Mapping[str, str]:
    """Return what was written to each object, by what it has reached, as the API serves it in a version.

    Those of other writers have names with another prefix.
    """
    number, text = FIELDS[version]
    return {
        f"{name}@{reached}": _value(str(found["spec"].get(text, "")), _colour(found, version))
        for name, found in site.flocks(version).items()
        if name.startswith(prefix)
        for reached in range(1, int(found["spec"][number]) + 1)
    }


def _colour(found: Manifest, version: str) -> str:
    if version == V2:
        return str(found["spec"].get("colour", NO_COLOUR))
    return str(found["metadata"].get("annotations", {}).get(COLOUR, NO_COLOUR))


def _value(text: str, colour: str) -> str:
    return f"{text}, {colour}"
