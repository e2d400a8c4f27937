"""The summary of a run in Markdown: for `summary.md` and for the job page of a CI system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vdc.report.result import Result, RunResult, ScenarioResult, shown_outages, title_of, version_changes
from vdc.upgrade.attempts import SLOWER, is_slower

_MARKS = {
    Result.PASSED: "✅",
    Result.FAILED: "❌",
    Result.ERROR: "💥",
    Result.INCONCLUSIVE: "❔",
    Result.QUARANTINED: "🚧",
    Result.SKIPPED: "⏭️",
}
_ESCAPED = {"|": "\\|", "`": "\\`", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NOTHING = "-"
_MESSAGE = 2000  # characters
_LONGER = 1.0  # seconds of a step that the summary shows; the page shows all


def render_summary(run: RunResult) -> str:
    """Return the summary: the verdict first, then scenarios with notes, what was left out, outages, failures, versions,
    durations, steps of upgrades, timers, the host.
    """
    parts = [
        f"# {'✅' if run.passed else '❔' if run.inconclusive else '❌'} {run.verdict}\n",
        f"Data centre `{run.name}` of topology `{run.topology}`{_with_cluster(run)}{_with_seed(run)}.\n",
        _table(("", "suite", "scenario", "longest outage", "duration"), map(_row, run.scenarios)),
        *_notes(run),
        *_deselected(run),
        *_outages(run),
        *_failures(run),
        *_versions(run),
        "## Durations\n",
        _table(("phase", "duration", "target"), _phases(run)),
        *(["Targets are for 2 cores without KVM.\n"] if run.targets else []),
        *_steps(run),
        *_timers(run),
        "## Host\n",
        _table(("host", "accelerator", "slowness"), [(_cell(run.host), run.accelerator, f"{run.slowness:.2f}")]),
    ]
    return "\n".join(parts)


def _row(scenario: ScenarioResult) -> tuple[str, ...]:
    return (
        f"{_MARKS[scenario.outcome]} {_cell(scenario.told)}",
        scenario.suite,
        _cell(scenario.title),
        _cell(shown_outages(scenario.outages)) or _NOTHING,
        _seconds(scenario.duration),
    )


def _notes(run: RunResult) -> Iterator[str]:
    noted = [scenario for scenario in run.scenarios if scenario.note]
    if noted:
        yield "".join(f"\\* {_cell(scenario.title)}: {_cell(scenario.note)}<br>\n" for scenario in noted)


def _outages(run: RunResult) -> Iterator[str]:
    rows = [(scenario, event) for scenario in run.scenarios for event in scenario.events]
    if rows:
        yield "## Outage of each event\n"
        yield _table(
            ("scenario", "event", "writes", "reads"),
            (
                (_cell(scenario.title), _cell(event.event), _outage(event.write), _outage(event.read))
                for scenario, event in rows
            ),
        )


def _outage(seconds: float | None) -> str:
    return _NOTHING if seconds is None else f"{seconds:.2f} s"


def _phases(run: RunResult) -> Iterator[tuple[str, ...]]:
    for name, seconds in run.durations.items():
        target = run.targets.get(name)
        if target is None:
            yield name, _seconds(seconds), _NOTHING
        else:
            yield name, _seconds(seconds), f"≤ {target:g} s" + (", missed" if seconds > target else "")


def _steps(run: RunResult) -> Iterator[str]:
    """Yield what each longer step of an upgrade took, beside the median of the nights before, and each slower one."""
    tried = [
        (scenario, step, seconds, scenario.usual.get(step))
        for scenario in run.scenarios
        if scenario.tries
        for step, seconds in scenario.steps.items()
    ]
    slower = sum(usual is not None and is_slower(seconds, usual) for _, _, seconds, usual in tried)
    if not tried:
        return
    yield "## Steps of upgrades\n"
    yield f"{slower} of {len(tried)} steps took more than {SLOWER - 1:.0%} longer than the last nights' median.\n"
    yield _table(
        ("scenario", "step", "duration", "usually", ""),
        (
            (_cell(scenario.title), _cell(step), _seconds(seconds), *_usually(seconds, usual))
            for scenario, step, seconds, usual in tried
            if seconds >= _LONGER or (usual is not None and is_slower(seconds, usual))
        ),
    )


def _usually(seconds: float, usual: float | None) -> tuple[str, str]:
    if usual is None:
        return _NOTHING, ""
    return _seconds(usual), f"⚠️ {100 * (seconds / usual - 1):+.0f} %" if is_slower(seconds, usual) else ""


def _with_cluster(run: RunResult) -> str:
    return f", with the cluster `{run.cluster}`" if run.cluster else ""


def _with_seed(run: RunResult) -> str:
    return f", `--seed {run.seed}`" if run.seed is not None else ""


def _deselected(run: RunResult) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for test, reason in run.deselected.items():
        by_reason.setdefault(reason, []).append(title_of(test))
    if by_reason:
        yield "## Scenarios that were left out\n"
    for reason, titles in by_reason.items():
        yield f"{len(titles)}: {_cell(reason)}\n"
        yield "".join(f"* {_cell(title)}\n" for title in titles)


def _timers(run: RunResult) -> Iterator[str]:
    if run.timers:
        yield f"## Timers for a host of slowness {run.slowness:.2f}\n"
        yield _table(("timer", "is"), ((_cell(name), _cell(value)) for name, value in run.timers.items()))


def _failures(run: RunResult) -> Iterator[str]:
    failures = [scenario for scenario in run.scenarios if scenario.outcome is not Result.PASSED]
    if failures:
        yield "## What did not pass\n"
    for scenario in failures:
        # An indented block cannot be ended by anything in the message, unlike a fenced one.
        lines = (scenario.message.strip() or "(no message)")[:_MESSAGE].splitlines()
        message = "\n".join(f"    {line}" for line in lines)
        evidence = f"; evidence: `{scenario.bundle}`" if scenario.bundle else ""
        yield f"**{scenario.title}** (`{scenario.test}`): {scenario.outcome}{evidence}\n\n{message}\n"


def _versions(run: RunResult) -> Iterator[str]:
    changes = version_changes(run)
    if not changes:
        return
    servers = sorted({server for versions in changes.values() for server in versions})
    yield "## Versions\n"
    yield _table(
        ("component", *servers),
        (
            (component, *(_cell(versions.get(server, _NOTHING)) for server in servers))
            for component, versions in changes.items()
        ),
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line: what devices say may look like HTML or code."""
    return " ".join("".join(_ESCAPED.get(letter, letter) for letter in text).split())


def _seconds(value: float) -> str:
    return f"{value:.1f} s"
