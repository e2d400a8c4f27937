"""All that happened in a run, on one clock: a list of stretches and instants made from the history. Pure.

It is the data of the report's picture, and what a person reads who wants to know what was going on at a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import inf
from statistics import median
from types import MappingProxyType
from typing import Any, Final, Literal

from vdc.history import Event
from vdc.observe.attribution import attributed, caused
from vdc.observe.ledger import PathOutage, outage_of
from vdc.observe.ops import Operation

SHORTEST_OUTAGE: Final = 0.1
"""Seconds. What is shorter is not drawn as an outage."""

AMISS: Final = 0.5
"""Seconds by which a guest's clock may differ from the host's: half of what etcd's members may differ by (1 s)."""

_ERROR: Final = 3  # of syslog(3)
_WORTH_TELLING: Final = 0.05  # seconds

_PERIODS: Final = 2.5  # of the samples, which an outage must be longer than

Lane = Literal[
    "scenario", "step", "fault", "power", "machine", "outage", "gap", "session", "console", "journal", "cluster",
    "clock", "note",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that lasted from `start` to `end`, which are equal for an instant (host monotonic seconds).

    `source` is the device, probe or part of the harness, `name` is for people, `state` is "ok", "bad" or empty where
    neither applies, and `text` is the detail.
    """

    start: float
    end: float
    lane: Lane
    source: str
    name: str
    state: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLine:
    """The entries in the order they began, and the host's load over time.

    `wall` is the wall clock, in seconds since 1970, when the monotonic clock stood at 0.
    """

    wall: float
    start: float
    end: float
    entries: tuple[Entry, ...]
    load: tuple[tuple[float, Mapping[str, float]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "wall": self.wall,
            "start": self.start,
            "end": self.end,
            "entries": [asdict(entry) for entry in self.entries],
            "load": [[time, dict(data)] for time, data in self.load],
        }

    def around(self, moment: float, seconds: float = 1.0) -> tuple[Entry, ...]:
        """Return what lasted at some time within `seconds` of a moment."""
        return tuple(e for e in self.entries if e.start <= moment + seconds and e.end >= moment - seconds)


def timeline(events: Iterable[Event]) -> TimeLine:
    """Return the time line of a history, in whatever order its events were written."""
    ordered = sorted(events, key=lambda event: event.time)
    reader = _Reader()
    operations: dict[str, list[Operation]] = {}
    for event in ordered:
        if event.kind == "op":
            operations.setdefault(event.source, []).append(Operation.from_event(event))
        elif event.kind in _READERS:
            _READERS[event.kind](reader, event)
    disturbances = [event for event in ordered if event.kind in {"step", "fault", "power"}]
    for source, samples in operations.items():
        reader.found += _outages(source, samples, disturbances)
    reader.found += _flow_outages(ordered, disturbances)
    start = ordered[0].time if ordered else 0.0
    latest = max((entry.end for entry in reader.found), default=start)
    end = max(latest, ordered[-1].time if ordered else start)
    found = [*reader.found, *(replace(entry, end=end) for entry in reader.unfinished())]
    return TimeLine(
        wall=next((event.data["wall"] - event.time for event in ordered if event.kind == "clock"), 0.0),
        start=start,
        end=end,
        entries=tuple(sorted(found, key=lambda entry: (entry.start, entry.end))),
        load=tuple((event.time, event.data) for event in ordered if event.kind == "load"),
    )


@dataclass(slots=True)
class _Reader:
    """Makes stretches of events that begin and end them."""

    found: list[Entry] = field(default_factory=list)
    _open: dict[tuple[str, str, str], Entry] = field(default_factory=dict)

    def unfinished(self) -> Iterator[Entry]:
        """Yield what never ended."""
        yield from self._open.values()

    def scenario(self, event: Event) -> None:
        """A scenario begins or is done."""
        test, outcome = event.data["test"], event.data.get("outcome", "")
        if event.data["phase"] == "start":
            self._begin(event, "scenario", test)
        else:
            state = "ok" if outcome in {"passed", "skipped"} else "bad"
            self._end(event, "scenario", test, state, ": ".join(filter(None, (outcome, event.data.get("why", "")))))

    def step(self, event: Event) -> None:
        """A step begins or is done."""
        phase = event.data["phase"]
        if phase == "start":
            self._begin(event, "step", event.data["name"])
        else:
            state = "bad" if phase == "failed" else "ok"
            self._end(event, "step", event.data["name"], state, event.data.get("error", ""))

    def fault(self, event: Event) -> None:
        """A fault goes through its phases: in effect from the first to the last."""
        name, phase = event.data["name"], event.data["phase"]
        key = ("fault", event.source, name)
        if phase == "inject":
            self._begin(event, "fault", name)
        if (entry := self._open.get(key)) is None:
            return
        self._open[key] = replace(entry, text=f"{entry.text} {phase} +{event.time - entry.start:.3f} s".strip())
        if phase in {"healed", "failed"}:
            self._end(event, "fault", name, "ok" if phase == "healed" else "bad", self._open[key].text)

    def rolling(self, event: Event) -> None:
        """A node has its turn in a queue: it is a step, which may be held up."""
        name, phase = f"turn of {event.data['name']}", event.data["phase"]
        if phase == "start":
            self._begin(event, "step", name)
        else:
            state = {"back": "ok", "failed": "bad"}.get(phase, "")
            self._end(event, "step", name, state, f"{phase} {event.data['reason']}".strip())

    def power(self, event: Event) -> None:
        """A device's power changes."""
        self._instant(event, "power", event.data["action"], source=event.data["server"])

    def gap(self, event: Event) -> None:
        """A probe was starved."""
        start = event.time - event.data["seconds"]
        self.found.append(
            Entry(start=start, end=event.time, lane="gap", source=event.source, name="starved", state="bad")
        )

    def session(self, event: Event) -> None:
        """A session of BGP or BFD changes its state: drawn while it is not up."""
        name, text = f"{event.data['protocol']} {event.data['peer']}", event.data.get("text", event.data["state"])
        key = ("session", event.source, name)
        if event.data["state"] == "up":
            self._end(event, "session", name, "bad", self._open[key].text if key in self._open else "")
        elif key in self._open:
            self._open[key] = replace(self._open[key], text=f"{self._open[key].text} → {text}")
        else:
            self._begin(event, "session", name, text=text, state="bad")

    def console(self, event: Event) -> None:
        """A console says something."""
        rule = event.data.get("rule", "")
        self._instant(event, "console", rule or "says", text=event.data["line"], state="bad" if rule else "")

    def machine(self, event: Event) -> None:
        """The hypervisor says something of a guest."""
        self._told(event, "machine", event.data["name"], bad=bool(event.data.get("bad")))

    def journal(self, event: Event) -> None:
        """A guest's journal says something."""
        self._told(event, "journal", event.data["who"], bad=int(event.data["priority"]) <= _ERROR)

    def cluster(self, event: Event) -> None:
        """The cluster says something."""
        self._told(event, "cluster", event.data["name"], bad=bool(event.data.get("bad")))

    def offset(self, event: Event) -> None:
        """How a guest's clock stands was measured."""
        seconds, uncertainty = event.data["seconds"], event.data["uncertainty"]
        told = f"{seconds * 1000:+.0f} ± {uncertainty * 1000:.0f} ms to the host's"
        self._instant(event, "clock", "clock", text=told, state="bad" if abs(seconds) - uncertainty > AMISS else "")

    def _told(self, event: Event, lane: Lane, name: str, *, bad: bool) -> None:
        uncertainty = float(event.data.get("uncertainty", 0.0))
        place = f" (± {uncertainty:.2g} s)" if uncertainty >= _WORTH_TELLING else ""
        text = f"{event.data.get('text', '')}{place}".strip()
        self._instant(event, lane, name, text=text, state="bad" if bad else "")

    def note(self, event: Event) -> None:
        """Anything else that somebody noted."""
        self._instant(event, "note", ", ".join(event.data) or "note", text=str(event.data))

    def _begin(self, event: Event, lane: Lane, name: str, *, text: str = "", state: str = "") -> None:
        key = (lane, event.source, name)
        if key in self._open:  # of a harness that died
            self.found.append(replace(self._open.pop(key), end=event.time))
        self._open[key] = Entry(
            start=event.time, end=inf, lane=lane, source=event.source, name=name, state=state, text=text
        )

    def _end(self, event: Event, lane: Lane, name: str, state: str, text: str) -> None:
        entry = self._open.pop((lane, event.source, name), None)
        if entry is not None:
            self.found.append(replace(entry, end=event.time, state=state, text=text))

    def _instant(
        self, event: Event, lane: Lane, name: str, *, source: str = "", text: str = "", state: str = ""
    ) -> None:
        who = source or event.source
        self.found.append(
            Entry(start=event.time, end=event.time, lane=lane, source=who, name=name, text=text, state=state)
        )


_READERS: Final[Mapping[str, Callable[[_Reader, Event], None]]] = MappingProxyType(
    {
        "scenario": _Reader.scenario,
        "step": _Reader.step,
        "fault": _Reader.fault,
        "rolling": _Reader.rolling,
        "power": _Reader.power,
        "gap": _Reader.gap,
        "session": _Reader.session,
        "console": _Reader.console,
        "machine": _Reader.machine,
        "journal": _Reader.journal,
        "cluster": _Reader.cluster,
        "offset": _Reader.offset,
        "note": _Reader.note,
    }
)


def _outages(source: str, samples: list[Operation], disturbances: list[Event]) -> Iterator[Entry]:
    shortest = max(SHORTEST_OUTAGE, _PERIODS * _period(samples))
    for outage, cause in attributed(samples, disturbances, longer_than=shortest):
        yield Entry(
            start=outage.start,
            end=outage.end,
            lane="outage",
            source=f"{source} {outage.op}",
            name=cause,
            state="bad",
            text=f"no {outage.op} for {outage.seconds:.2f} s",
        )


def _flow_outages(events: Iterable[Event], disturbances: list[Event]) -> Iterator[Entry]:
    flows = ((event.data["flow"], outage_of(event)) for event in events if event.kind == "outage")
    for path, cause in caused((PathOutage(name, outage) for name, outage in flows), disturbances):
        if path.outage.seconds >= SHORTEST_OUTAGE:
            yield Entry(
                start=path.start, end=path.end, lane="outage", source=path.flow, name=cause, state="bad", text=str(path)
            )


def _period(samples: list[Operation]) -> float:
    """Return the time from one sample to the next of the same kind, in seconds, of the kind that has the longest."""
    by_op: dict[str, list[float]] = {}
    for sample in samples:
        by_op.setdefault(sample.op, []).append(sample.start)
    distances = ([after - before for before, after in pairwise(starts)] for starts in by_op.values())
    return max((median(each) for each in distances if each), default=0.0)
