"""The report as one HTML file, which needs nothing else: no network, no other file, no script but its own. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from vdc.report.html.lanes import Lane, SeenOutage, Story
from vdc.report.result import Result, RunResult, ScenarioResult, shown_outages, version_changes
from vdc.upgrade.attempts import is_slower

EVENTS: Final = 60_000
"""How many lines the list of what happened has at most; it tells how many it left out."""

_OUTCOMES: Final = ("failed", "error", "inconclusive", "quarantined", "skipped", "passed")
"""The order in which a reader wants to see them."""


_SCRIPTS: Final = ("scenarios.js", "details.js", "timeline.js")
"""Each listens to the others by events of the document, and knows nothing else of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The time line of one data centre; `name` is empty where the run had only one."""

    name: str
    story: Story


def render_html(run: RunResult, tracks: Sequence[Track] = ()) -> str:
    """Return the report of a run; without tracks it has no time line."""
    return str(
        _template().render(
            run=run,
            verdict=run.verdict.partition(":")[0].lower(),
            scenarios=[_row(scenario) for scenario in run.scenarios],
            outcomes=[(name, count) for name in _OUTCOMES if (count := _count(run, name))],
            versions=_versions(run),
            phases=[(name, seconds, run.targets.get(name)) for name, seconds in run.durations.items()],
            steps=_steps(run),
            left_out=_left_out(run),
            css=_asset("report.css"),
            js="\n".join(map(_asset, _SCRIPTS)),
            data=_embedded(_payload(run, tracks)),
            timeline=any(track.story.lanes for track in tracks),
        )
    )


def devices_of(picture: str) -> tuple[str, ...]:
    """Return the names of the devices in a picture of the fabric: what the boxes' titles begin with."""
    found = dict.fromkeys(
        part.partition(":")[0].strip()
        for part in picture.split("<title>")[1:]
        if ":" in part.partition("\n")[0] and "–" not in part.partition("\n")[0]
    )
    return tuple(name for name in found if name and " " not in name)


def _row(scenario: ScenarioResult) -> Mapping[str, Any]:
    longest = max(scenario.outages.values(), default=None)
    return {
        "test": scenario.test,
        "title": scenario.title,
        "suite": scenario.suite,
        "outcome": str(scenario.outcome),
        "duration": scenario.duration,
        "longest": longest,
        "outages": shown_outages(scenario.outages),
        "events": scenario.events,
        "message": scenario.message.strip(),
        "note": scenario.note,
        "bundle": scenario.bundle,
        "location": scenario.location,
    }


def _count(run: RunResult, name: str) -> int:
    return run.count(Result(name)) if name in set(Result) else 0


def _versions(run: RunResult) -> Sequence[tuple[str, Sequence[tuple[str, Sequence[str]]]]]:
    """Return each component with its versions, and the servers that have each: one line where all agree."""
    found = []
    for component, by_server in version_changes(run).items():
        servers: dict[str, list[str]] = {}
        for server, version in by_server.items():
            servers.setdefault(version, []).append(server)
        found.append((component, list(servers.items())))
    return found


def _steps(run: RunResult) -> Sequence[tuple[str, str, float, float | None, bool]]:
    """Return the steps of upgrades: scenario, step, what it took, what it usually takes, and whether that is slower."""
    return [
        (scenario.title, step, took, usual, usual is not None and is_slower(took, usual))
        for scenario in run.scenarios
        if scenario.tries
        for step, took in scenario.steps.items()
        for usual in (scenario.usual.get(step),)
    ]


def _left_out(run: RunResult) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for reason in run.deselected.values():
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def _payload(run: RunResult, tracks: Sequence[Track]) -> Mapping[str, Any]:
    """Return what the script draws. Times are seconds since the earliest event of all tracks."""
    told = [track for track in tracks if track.story.lanes]
    zero = min((track.story.start for track in told), default=0.0)
    first = min(told, key=lambda track: track.story.start, default=None)
    return {
        "name": run.name,
        "end": _time(max((track.story.end for track in told), default=0.0), zero),
        "wall": None if first is None else first.story.wall,
        "picture": run.picture,
        "tracks": [_track(track, zero) for track in told],
    }


def _track(track: Track, zero: float) -> Mapping[str, Any]:
    story = track.story
    names = {lane.name: number for number, lane in enumerate(story.lanes) if lane.group == "probes"}
    listed = story.happenings[:EVENTS]
    return {
        "name": track.name,
        "scenarios": {test: [_time(each, zero) for each in when] for test, when in story.scenarios.items()},
        "lanes": [_lane(lane, zero) for lane in story.lanes],
        "events": [[_time(each.time, zero), each.kind, each.source, each.text, each.tone] for each in listed],
        "unlisted": len(story.happenings) - len(listed),
        "conditions": [
            [_time(each.start, zero), _time(each.end, zero), each.state, each.text, list(each.devices)]
            for each in story.conditions
        ],
        "outages": [_outage(each, zero, names) for each in story.outages],
    }


def _outage(outage: SeenOutage, zero: float, lanes: Mapping[str, int]) -> Sequence[Any]:
    return [_time(outage.start, zero), _time(outage.end, zero), lanes[outage.lane], outage.cause]


def _lane(lane: Lane, zero: float) -> Mapping[str, Any]:
    told: dict[str, Any] = {"group": lane.group, "name": lane.name}
    if lane.note:
        told["note"] = lane.note
    if lane.spans:
        told["spans"] = [
            [_time(span.start, zero), _time(span.end, zero), span.row, span.tone, span.label] for span in lane.spans
        ]
    if lane.marks:
        told["marks"] = [[_time(mark.time, zero), mark.tone, mark.label] for mark in lane.marks]
    if lane.line is not None:
        line = lane.line
        values = [None if value is None else (int(value) if value == int(value) else value) for value in line.values]
        told["line"] = {
            "start": _time(line.start, zero), "step": round(line.step, 6), "unit": line.unit, "values": values
        }  # fmt: skip
    return told


def _time(seconds: float, zero: float) -> float:
    return round(seconds - zero, 4)


def _embedded(data: Mapping[str, Any]) -> str:
    """Return data as JSON that cannot end the element it stands in, whatever a log line or a name says.

    HTML ends a `script` at `</script` and changes its mode at `<!--` (html.spec.whatwg.org, "Restrictions for contents
    of script elements"): there is no `<` left, nor line separators that old scripts took for new lines.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _asset(name: str) -> str:
    return files("vdc.report.html").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _template() -> Any:  # noqa: ANN401 - jinja2's Template
    environment = Environment(
        loader=PackageLoader("vdc.report.html", "assets"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = seconds
    environment.filters["listed"] = listed
    return environment.get_template("report.html.j2")


def seconds(value: float | None) -> str:
    """Return a duration for people: as exact as its length deserves."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 120 else f"{int(value // 60)} min {int(value % 60):02} s"


def listed(names: Iterable[str]) -> str:
    """Return names as text; of many, the first and how many."""
    found = list(names)
    return ", ".join(found) if len(found) <= 4 else f"{', '.join(found[:3])} and {len(found) - 3} more"
