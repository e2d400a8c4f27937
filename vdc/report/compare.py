"""What is different between two runs: outcomes, durations, outages, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from vdc.report.result import RunResult, ScenarioResult, Versions, title_of

SLOWER: Final = 1.3
"""From how many times as long on a duration or an outage is told as another one."""

_LEAST_SECONDS: Final = 0.5
"""What differs by less is the noise of any host."""

_LEAST_OUTAGE: Final = 0.1

Kind = Literal["outcome", "new", "gone", "duration", "outage", "phase", "version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as it was. `worse` is None where that is nobody's to say."""

    kind: Kind
    what: str
    before: str
    after: str
    worse: bool | None = None


def compare(before: RunResult, after: RunResult) -> tuple[Difference, ...]:
    """Return what differs, the most important first: outcomes, outages, durations, versions."""
    old = {scenario.test: scenario for scenario in before.scenarios}
    new = {scenario.test: scenario for scenario in after.scenarios}
    both = [(old[test], new[test]) for test in new if test in old]
    return (
        *_outcomes(both),
        *(_one("gone", title_of(test), str(old[test].outcome), "-", worse=True) for test in old if test not in new),
        *(
            _one("new", title_of(test), "-", str(new[test].outcome), worse=None if new[test].good else True)
            for test in new
            if test not in old
        ),
        *(found for pair in both for found in _outages(*pair)),
        *_longer("duration", {o.title: (o.duration, n.duration) for o, n in both}, least=_LEAST_SECONDS),
        *_longer("phase", _paired(before.durations, after.durations), least=_LEAST_SECONDS),
        *_versions(before, after),
    )


def render_difference(before: RunResult, after: RunResult) -> str:
    """Return the comparison as Markdown: the verdicts, then a table, or a line that says that nothing is different."""
    found = compare(before, after)
    worse = sum(each.worse is True for each in found)
    lines = [f"# {before.name} → {after.name}", "", f"* before: {before.verdict}", f"* after: {after.verdict}", ""]
    if not found:
        return "\n".join((*lines, "Nothing is different.", ""))
    table = ["|  | what |  | before | after |", "| --- | --- | --- | --- | --- |"]
    table += [
        f"| {_sign(each.worse)} | {each.kind} | {_cell(each.what)} | {_cell(each.before)} | {_cell(each.after)} |"
        for each in found
    ]
    return "\n".join((*lines, f"{len(found)} differences, {worse} for the worse.", "", *table, ""))


def _outcomes(both: list[tuple[ScenarioResult, ScenarioResult]]) -> Iterator[Difference]:
    for old, new in both:
        if old.outcome is not new.outcome:
            worse = None if old.good is new.good else old.good
            yield _one("outcome", new.title, str(old.outcome), str(new.outcome), worse=worse)


def _outages(old: ScenarioResult, new: ScenarioResult) -> Iterator[Difference]:
    pairs = _paired(old.outages, new.outages)
    titled = {f"{new.title}: {name.replace('_', ' ')}": pair for name, pair in pairs.items()}
    yield from _longer("outage", titled, least=_LEAST_OUTAGE)


def _longer(kind: Kind, pairs: Mapping[str, tuple[float, float]], *, least: float) -> Iterator[Difference]:
    for what, (old, new) in pairs.items():
        short, long = sorted((old, new))
        if long > SLOWER * short and long - short > least:
            yield _one(kind, what, f"{old:.2f} s", f"{new:.2f} s ({_ratio(old, new)})", worse=new > old)


def _ratio(old: float, new: float) -> str:
    return f"{100 * (new / old - 1):+.0f} %" if old > 0 else "was none"


def _versions(before: RunResult, after: RunResult) -> Iterator[Difference]:
    old, new = _newest(before), _newest(after)
    for component in (*old, *(name for name in new if name not in old)):
        had, has = old.get(component, "-"), new.get(component, "-")
        if had != has:
            yield _one("version", component, had, has, worse=None)


def _newest(run: RunResult) -> Mapping[str, str]:
    """Return component to version at the end of a run, all of them where servers do not agree."""
    last: Versions = {**run.versions_before, **run.versions_after}
    found: dict[str, set[str]] = {}
    for components in last.values():
        for component, version in components.items():
            found.setdefault(component, set()).add(version)
    return {component: ", ".join(sorted(versions)) for component, versions in found.items()}


def _paired(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    return {name: (old[name], new[name]) for name in new if name in old}


def _one(kind: Kind, what: str, before: str, after: str, *, worse: bool | None) -> Difference:
    return Difference(kind=kind, what=what, before=before, after=after, worse=worse)


def _sign(worse: bool | None) -> str:
    return {True: "worse", False: "better", None: ""}[worse]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
