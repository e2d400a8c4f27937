"""What caused an outage: the history of faults, power actions and steps beside the samples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from vdc.history import Event
from vdc.observe.ops import Operation, Stretch
from vdc.observe.outages import Outage, outages

T = TypeVar("T", bound=Stretch)

NOTHING = "nothing in progress"
"""The cause of an outage that began while nothing was done to the data centre."""

_SLACK = 0.25  # seconds; an outage begins with the last good sample, a little before its cause
_NOTICEABLE = 0.5  # seconds; below it, what happens by itself is not worth a line


def longest_by_event(
    operations: Iterable[Operation],
    events: Iterable[Event],
    *,
    start: float | None = None,
    end: float | None = None,
) -> Mapping[str, Mapping[str, float]]:
    """Return the longest outage that each event caused: event to op to seconds, in the order they began.

    The cause is the fault, power action or step that was in progress when an outage began, the innermost of them.
    Faults and power actions come before steps, which also name the harness's own waiting. What a fault switches, when
    it is injected and when it is healed, is named after the fault.
    """
    found: dict[str, dict[str, float]] = {}
    for outage, name in attributed(operations, events, longer_than=0.0, start=start, end=end):
        cause = found.setdefault(name, {})
        cause[outage.op] = max(outage.seconds, cause.get(outage.op, 0.0))
    return {name: by_op for name, by_op in found.items() if name != NOTHING or max(by_op.values()) > _NOTICEABLE}


def attributed(
    operations: Iterable[Operation],
    events: Iterable[Event],
    *,
    longer_than: float,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[tuple[Outage, str]]:
    """Yield the outages over `longer_than` seconds in the order they began, each with the name of its cause."""
    yield from caused(outages(operations, longer_than=longer_than, start=start, end=end), events)


def caused(stretches: Iterable[T], events: Iterable[Event]) -> Iterator[tuple[T, str]]:
    """Yield stretches of time without service, each with the name of its cause."""
    disturbances = _disturbances(events)
    for stretch in stretches:
        yield stretch, _cause(stretch, disturbances)


@dataclass(slots=True, kw_only=True)
class _Disturbance:
    name: str
    start: float
    end: float | None
    is_fault: bool


def _cause(outage: Stretch, disturbances: Iterable[_Disturbance]) -> str:
    near = [d for d in disturbances if d.start <= outage.end and (d.end is None or d.end >= outage.start)]
    begun = [d for d in near if d.start <= outage.start + _SLACK]
    if begun:
        return max(begun, key=lambda d: (d.is_fault, d.start)).name
    return min(near, key=lambda d: d.start).name if near else NOTHING


def _disturbances(events: Iterable[Event]) -> list[_Disturbance]:
    reader = _Reader()
    for event in sorted(events, key=lambda event: event.time):
        reader.read(event)
    return reader.found


@dataclass(slots=True)
class _Reader:
    """Turns events, which begin and end things, into the stretches of time between."""

    found: list[_Disturbance] = field(default_factory=list)
    _open: dict[tuple[str, str], _Disturbance] = field(default_factory=dict)
    _acting: dict[str, str] = field(default_factory=dict)  # faults that switch things just now, and as what

    def read(self, event: Event) -> None:
        """Take the next event."""
        if event.kind == "power":
            own = f"{event.data['server']} {event.data['action']}"
            self._begin(event, event.data["server"], next(reversed(self._acting.values()), own))
        elif event.kind == "step":
            self._end(event, event.data["name"])
            if event.data["phase"] == "start":
                self._begin(event, event.data["name"], event.data["name"])
        elif event.kind == "fault":
            self._read_fault(event, event.data["name"], event.data["phase"])

    def _read_fault(self, event: Event, name: str, phase: str) -> None:
        if phase in {"inject", "heal"}:
            self._acting[name] = name if phase == "inject" else f"{name}: heal"
            self._begin(event, name, self._acting[name])
        else:
            self._acting.pop(name, None)
        if phase in {"healed", "failed"}:
            self._end(event, name)

    def _begin(self, event: Event, key: str, name: str) -> None:
        self._end(event, key)
        new = _Disturbance(name=name, start=event.time, end=None, is_fault=event.kind != "step")
        self._open[event.kind, key] = new
        self.found.append(new)

    def _end(self, event: Event, key: str) -> None:
        previous = self._open.pop((event.kind, key), None)
        if previous is not None:
            previous.end = event.time
