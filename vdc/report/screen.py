"""The last screen of a run: everything that matters, in one terminal of 80 by 24."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vdc.report.result import Result, RunResult, ScenarioResult, version_changes

_ROOM = 18  # lines for scenarios and failures, beside the header, the facts, the verdict and the prompt
_MORE = 3  # lines for timers and for what was left out
_STYLES = {
    Result.PASSED: "green",
    Result.FAILED: "bold red",
    Result.ERROR: "bold magenta",
    Result.INCONCLUSIVE: "bold cyan",
    Result.QUARANTINED: "yellow",
    Result.SKIPPED: "yellow",
}


def render_screen(run: RunResult) -> RenderableType:
    """Return the screen; where there is too little room, scenarios that passed are only counted."""
    told = [scenario for scenario in run.scenarios if scenario.outcome is not Result.PASSED or scenario.note]
    messages = [_message(scenario) for scenario in told if scenario.note or scenario.message][: _ROOM // 3]
    more = list(_more(run))[:_MORE]
    shown = _fitting(run.scenarios, _ROOM - len(messages) - len(more))
    parts: list[RenderableType] = [_table(shown)]
    hidden = len(run.scenarios) - len(shown)
    if hidden:
        parts.append(Text(f"… and {hidden} more", style="dim"))
    parts += [*messages, _line(_facts(run)), _line(_targets(run)), _line(_changes(run)), *more]
    parts.append(Text(run.verdict, style="bold green" if run.passed else "bold red"))
    return Group(*parts)


def _fitting(scenarios: tuple[ScenarioResult, ...], room: int) -> list[ScenarioResult]:
    if len(scenarios) <= room:
        return list(scenarios)
    room -= 1
    by_weight = sorted(range(len(scenarios)), key=lambda i: scenarios[i].told == Result.PASSED)
    return [scenarios[i] for i in sorted(by_weight[:room])]


def _table(scenarios: list[ScenarioResult]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("suite", no_wrap=True)
    table.add_column("scenario", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("outage", justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for scenario in scenarios:
        worst = max(scenario.outages.values(), default=None)
        table.add_row(
            scenario.suite,
            Text(scenario.title),
            "" if worst is None else f"{worst:.2f} s",
            f"{scenario.duration:.1f} s",
            Text(scenario.told, style=_STYLES[scenario.outcome]),
        )
    return table


def _message(scenario: ScenarioResult) -> Text:
    first = scenario.note or next(iter(scenario.message.strip().splitlines()), "(no message)")
    return _line(f"{scenario.title}: {first}", style=_STYLES[scenario.outcome])


def _facts(run: RunResult) -> str:
    others = ((name, seconds) for name, seconds in run.durations.items() if name not in run.targets)
    durations = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in others)
    facts = (run.cluster, f"{run.accelerator}, slowness {run.slowness:.2f}", durations)
    return " · ".join(fact for fact in facts if fact)


def _targets(run: RunResult) -> str:
    """Return each duration that has a target, and the target after the slash."""
    targets = run.targets
    durations = ((name, seconds, targets[name]) for name, seconds in run.durations.items() if name in targets)
    return ", ".join(f"{name} {seconds:.1f}/{target:g} s" for name, seconds, target in durations)


def _changes(run: RunResult) -> str:
    """Return each component with the versions the servers have: one where they agree."""
    parts = []
    for component, versions in version_changes(run).items():
        parts.append(f"{component} {' | '.join(sorted(set(versions.values())))}")
    return " · ".join(parts)


def _more(run: RunResult) -> Iterator[Text]:
    if run.timers:
        yield _line("timers: " + ", ".join(f"{name} {value}" for name, value in run.timers.items()))
    for reason, number in Counter(run.deselected.values()).items():
        yield _line(f"{number} left out: {reason}", style="yellow")


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
