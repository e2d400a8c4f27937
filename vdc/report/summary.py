"""The summary of a run in Markdown: for `summary.md` and for the job page of a CI system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import starmap

from vdc.report.result import TARGETS, Result, RunResult, ScenarioResult, shown_outages, version_changes

_MARKS = {Result.PASSED: "✅", Result.FAILED: "❌", Result.ERROR: "💥", Result.SKIPPED: "⏭️"}
_NOTHING = "-"
_MESSAGE = 2000  # characters


def render_summary(run: RunResult) -> str:
    """Return the summary: the verdict first, then scenarios, outages, failures, versions, durations, the host."""
    parts = [
        f"# {'✅' if run.passed else '❌'} {run.verdict}\n",
        f"Data centre `{run.name}` of topology `{run.topology}`.\n",
        _table(("", "suite", "scenario", "longest outage", "duration"), map(_row, run.scenarios)),
        *_outages(run),
        *_failures(run),
        *_versions(run),
        "## Durations\n",
        _table(("phase", "duration", "target"), starmap(_phase, run.durations.items())),
        "Targets are for `topologies/small.yml` on 2 cores without KVM.\n",
        "## Host\n",
        _table(("host", "accelerator", "slowness"), [(_cell(run.host), run.accelerator, f"{run.slowness:.2f}")]),
    ]
    return "\n".join(parts)


def _row(scenario: ScenarioResult) -> tuple[str, ...]:
    return (
        f"{_MARKS[scenario.outcome]} {scenario.outcome}",
        scenario.suite,
        _cell(scenario.title),
        _cell(shown_outages(scenario.outages)) or _NOTHING,
        _seconds(scenario.duration),
    )


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


def _phase(name: str, seconds: float) -> tuple[str, ...]:
    target = TARGETS.get(name)
    if target is None:
        return name, _seconds(seconds), _NOTHING
    return name, _seconds(seconds), f"≤ {target:g} s" + (", missed" if seconds > target else "")


def _failures(run: RunResult) -> Iterator[str]:
    failures = [scenario for scenario in run.scenarios if scenario.outcome is not Result.PASSED]
    if failures:
        yield "## What did not pass\n"
    for scenario in failures:
        # An indented block cannot be ended by anything in the message, unlike a fenced one.
        lines = (scenario.message.strip() or "(no message)")[:_MESSAGE].splitlines()
        message = "\n".join(f"    {line}" for line in lines)
        yield f"**{scenario.title}** (`{scenario.test}`): {scenario.outcome}\n\n{message}\n"


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
    return " ".join(text.replace("|", "\\|").split())


def _seconds(value: float) -> str:
    return f"{value:.1f} s"
