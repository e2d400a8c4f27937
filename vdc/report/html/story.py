"""From the history of a data centre to lanes, a list of what happened, and the state of devices over time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from vdc.history import Event
from vdc.observe.attribution import attributed
from vdc.observe.ops import Gap, Operation
from vdc.observe.timeline import Entry, TimeLine, timeline
from vdc.report.html.lanes import Condition, Group, Happening, Lane, Line, Mark, SeenOutage, Span, Story, Tone, stacked
from vdc.report.html.paths import Paths, paths
from vdc.report.html.samples import Samples, Stint, profile
from vdc.report.result import title_of

BINS: Final = 4000
"""How many values a figure over the whole run has at most: more than a screen has pixels."""

_FINEST: Final = 0.05  # seconds of such a value
_GROUPS: Final[Mapping[str, Group]] = MappingProxyType(
    {"scenario": "scenarios", "step": "steps", "fault": "faults", "power": "nodes", "console": "nodes",
     "machine": "nodes", "journal": "nodes", "clock": "nodes", "cluster": "cluster", "session": "routing"}
)  # fmt: skip
_LOADS: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {"busy": ("%", 100.0), "steal": ("%", 100.0), "cpu": ("%", 100.0), "io": ("%", 100.0), "memory": ("%", 100.0),
     "late": ("ms", 1000.0), "runnable": ("", 1.0)}
)  # fmt: skip
_LOAD_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"busy": "CPUs busy", "cpu": "CPU pressure", "io": "I/O pressure", "memory": "memory pressure",
     "late": "late wake-ups", "runnable": "runnable", "steal": "stolen"}
)  # fmt: skip
_PHASE: Final = re.compile(r"(\w+) \+([\d.]+) s")
_PHASE_WORDS: Final[Mapping[str, str]] = MappingProxyType({"inject": "being injected", "heal": "being healed"})
_DARK: Final = frozenset({"off", "crash", "shutdown"})


def tell(events: Iterable[Event], *, devices: Iterable[str] = ()) -> Story:
    """Return what a history tells; `devices` are the names that are looked for in what faults say."""
    samples, others = Samples(), []
    latest = 0.0
    for event in events:
        if event.kind == "op":
            operation = Operation.from_event(event)
            latest = max(latest, operation.end)
            samples.add(operation, event.source)
        else:
            others.append(event)
            if event.kind == "gap":
                samples.add_gap(Gap.from_event(event), event.source)
    line = timeline(event for event in others if event.kind != "outage")  # `_paths` tells of them
    story = Story(start=line.start, end=max(line.end, latest), wall=line.wall + line.start if line.wall else None)
    _Teller(story, {}, tuple(devices)).tell(line, samples, others)
    return story


@dataclass(slots=True)
class _Teller:
    story: Story
    lanes: dict[tuple[Group, str], Lane]
    devices: tuple[str, ...]

    def tell(self, line: TimeLine, samples: Samples, events: list[Event]) -> None:
        for entry in line.entries:
            self._entry(entry)
        self._darkness([entry for entry in line.entries if entry.lane == "power"])
        for name, stints, gaps in samples.lanes():
            self._probe(name, stints, gaps, events)
        for name, seen in paths(events).items():
            self._paths(name, seen)
        self._load(line)
        for lane in self.lanes.values():
            lane.spans = stacked(lane.spans) if lane.group != "probes" else lane.spans
        self.story.lanes += sorted(self.lanes.values(), key=lambda lane: lane.place)
        self.story.happenings.sort(key=lambda one: one.time)
        self.story.conditions.sort(key=lambda one: one.start)
        self.story.outages.sort(key=lambda one: one.start)

    def _entry(self, entry: Entry) -> None:
        self._happened(entry)
        if entry.lane == "scenario":
            self.story.scenarios[entry.name] = (entry.start, entry.end)
        group = _GROUPS.get(entry.lane)
        if group is None or (entry.lane in {"console", "journal", "clock"} and not entry.state):
            return
        lane = self._lane(group, entry.source if group in {"nodes", "routing", "cluster"} else group)
        if entry.start == entry.end:
            tone: Tone = "bad" if entry.state == "bad" else "off"
            label = ": ".join(filter(None, (entry.source, entry.name, entry.text)))
            lane.marks.append(Mark(time=entry.start, label=label, tone=tone))
        elif entry.lane == "fault":
            lane.spans += _phases(entry)
        else:
            lane.spans.append(Span(start=entry.start, end=entry.end, label=_label(entry), tone=_tone(entry)))
        if entry.lane == "fault":
            self._condition(entry, "fault", self._named(f"{entry.name} {entry.text}"), entry.name)
        elif group == "routing":
            devices = (entry.source, *self._named(entry.name.replace("_", "-")))
            self._condition(entry, "session", devices, f"{entry.source}: {entry.name} down")

    def _condition(self, entry: Entry, state: Literal["fault", "session"], devices: tuple[str, ...], text: str) -> None:
        if devices:
            self.story.conditions.append(
                Condition(start=entry.start, end=entry.end, devices=devices, state=state, text=text)
            )

    def _named(self, text: str) -> tuple[str, ...]:
        return tuple(name for name in self.devices if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))

    def _lane(self, group: Group, name: str) -> Lane:
        return self.lanes.setdefault((group, name), Lane(group=group, name=name))

    def _happened(self, entry: Entry) -> None:
        """List an entry; what lasted long enough to matter is listed again at its end."""
        tone = _tone(entry)
        lasts = entry.end > entry.start and entry.lane != "gap"
        begins = f"{_label(entry)}{' …' if lasts else ''}"
        if not lasts and entry.text:
            begins = f"{begins}: {entry.text}"
        self._list(entry.start, entry.lane, entry.source, begins, "dim" if lasts and tone == "step" else tone)
        if lasts:
            over = ": ".join(filter(None, (_label(entry), entry.text or _ending(entry))))
            self._list(entry.end, entry.lane, entry.source, f"{over} ({entry.end - entry.start:.2f} s)", tone)

    def _list(self, time: float, kind: str, source: str, text: str, tone: Tone) -> None:
        self.story.happenings.append(Happening(time=time, kind=kind, source=source, text=text, tone=tone))

    def _darkness(self, actions: list[Entry]) -> None:
        """Show from when to when devices were off."""
        off: dict[str, Entry] = {}
        for entry in actions:
            since = off.pop(entry.source, None)
            if since is not None:
                self._dark(since, entry.start)
            if entry.name in _DARK:
                off[entry.source] = since or entry
        for entry in off.values():
            self._dark(entry, self.story.end)

    def _dark(self, since: Entry, end: float) -> None:
        label = f"{since.source} off{'' if since.name == 'off' else f' ({since.name})'}"
        self._lane("nodes", since.source).spans.append(Span(start=since.start, end=end, label=label, tone="off"))
        self.story.conditions.append(
            Condition(start=since.start, end=end, devices=(since.source,), state="off", text=label)
        )

    def _probe(self, name: str, stints: tuple[Stint, ...], gaps: tuple[Gap, ...], events: list[Event]) -> None:
        lane, story = self._lane("probes", name), self.story
        thresholds = dict.fromkeys(_short(one(each.threshold for each in stints)) for one in (min, max))
        lane.note = f"outage: over {' to '.join(thresholds)}"
        width = max(story.end - story.start, 1e-3)
        bins = min(BINS, max(1, round(width / _FINEST)))
        values = profile(stints, start=story.start, end=story.end, bins=bins)
        lane.line = Line(start=story.start, step=width / bins, values=tuple(v or None for v in values), unit="ms")
        lane.spans += [Span(start=one.start, end=one.end, label=_stint_text(one), tone="good") for one in stints]
        for one in stints:
            self._outages(lane, one, events)
            for failed in one.failures:
                self._list(failed.start, "probe", name, str(failed), "warn")
        lane.spans += [_starved(gap) for gap in gaps]

    def _outages(self, lane: Lane, one: Stint, events: list[Event]) -> None:
        for outage, cause in attributed(one.operations, events, longer_than=one.threshold):
            self.story.outages.append(SeenOutage(start=outage.start, end=outage.end, lane=lane.name, cause=cause))
            text = f"no {outage.op} for {outage.seconds:.3f} s: {cause}"
            lane.spans.append(Span(start=outage.start, end=outage.end, label=text, tone="bad"))
            self._list(outage.start, "outage", lane.name, f"last {outage.op} that went well", "bad")
            self._list(
                outage.end, "outage", lane.name, f"first {outage.op} again, after {outage.seconds:.3f} s", "good"
            )

    def _paths(self, name: str, seen: Paths) -> None:
        lane, story = self._lane("probes", name), self.story
        lane.note = "outage: packets lost"
        width = max(story.end - story.start, 1e-3)
        bins = min(BINS, max(1, round(width / _FINEST)))
        values = seen.profile(start=story.start, end=story.end, bins=bins)
        lane.line = Line(start=story.start, step=width / bins, values=tuple(values), unit="ms")
        lane.spans += [Span(start=one.start, end=one.end, label=str(one), tone="good") for one in seen.watched]
        for one in seen.dark:
            story.outages.append(SeenOutage(start=one.start, end=one.end, lane=name, cause=one.cause))
            lane.spans.append(Span(start=one.start, end=one.end, label=str(one), tone="bad"))
            self._list(one.start, "outage", name, f"packets are lost: {one}", "bad")
            self._list(one.end, "outage", name, f"packets come again, after {one.end - one.start:.3f} s", "good")
        lane.spans += [_starved(gap) for gap in seen.gaps]

    def _load(self, line: TimeLine) -> None:
        series: dict[str, list[tuple[float, float]]] = {}
        for time, data in line.load:
            for name in data.keys() & _LOADS.keys():
                series.setdefault(name, []).append((time, float(data[name])))
        for name in (name for name in _LOADS if name in series):
            unit, scale = _LOADS[name]
            lane = self._lane("load", _LOAD_NAMES[name])
            lane.line = _sampled(series[name], scale=scale, unit=unit, start=self.story.start, end=self.story.end)


def _starved(gap: Gap) -> Span:
    return Span(start=gap.start, end=gap.end, label=f"the probe was starved for {gap.seconds:.2f} s", tone="warn")


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _label(entry: Entry) -> str:
    match entry.lane:
        case "scenario":
            return title_of(entry.name)
        case "session":
            return f"{entry.name} down"
    return entry.name


def _tone(entry: Entry) -> Tone:
    match entry.lane:
        case "fault":
            return "fault"
        case "gap":
            return "warn"
        case "power":
            return "off"
        case "scenario":
            return {"ok": "good", "bad": "bad"}.get(entry.state, "step")  # type: ignore[return-value]
        case _:
            return "bad" if entry.state == "bad" else "step"


def _ending(entry: Entry) -> str:
    return {"ok": "done", "bad": "failed"}.get(entry.state, "never ended")


def _phases(entry: Entry) -> Iterator[Span]:
    """Yield the phases of a fault: it bites from when that was proven, until it begins to be healed."""
    found = [(word, entry.start + float(after)) for word, after in _PHASE.findall(entry.text)]
    ends = [start for _, start in found[1:]] + [entry.end]
    for (word, start), end in zip(found, ends, strict=True):
        if end > start or len(found) == 1:
            said = f"{entry.name}: {_PHASE_WORDS[word]}" if word in _PHASE_WORDS else entry.name
            yield Span(start=start, end=end, label=said, tone="fault" if word == "bites" else "warn")


def _stint_text(stint: Stint) -> str:
    return f"{stint.samples:,} samples in {stint.end - stint.start:.1f} s, usual wait {stint.usual * 1000:.0f} ms"


def _sampled(points: list[tuple[float, float]], *, scale: float, unit: str, start: float, end: float) -> Line:
    """Return points as values at equal steps, each the highest of its step."""
    bins = max(1, min(BINS, len(points)))
    step = max(end - start, 1e-3) / bins
    values: list[float | None] = [None] * bins
    for time, value in points:
        at = max(0, min(bins - 1, int((time - start) / step)))
        had = values[at]
        values[at] = round(value * scale if had is None else max(had, value * scale), 2)
    return Line(start=start, step=step, values=tuple(values), unit=unit)
