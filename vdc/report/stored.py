"""What a run leaves in its directory, so that its report can be made again, or compared with another's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from vdc.errors import InputError
from vdc.history import Event, events_in, read
from vdc.report.html import Track, devices_of, render_html, tell
from vdc.report.result import EventOutage, Result, RunResult, ScenarioResult, steps_of

RESULT, REPORT = "report.json", "report.html"
"""Files of a run's directory beside `summary.md`: the result as data, and the page that is made of it."""

_HISTORY: Final = "history.jsonl"
_OF_STEPS: Final = ('"kind":"step"', '"kind":"scenario"')


def save(run: RunResult, directory: Path) -> None:
    """Write the result and the page to a run's directory, which has the histories of its data centres."""
    (directory / RESULT).write_text(json.dumps(asdict(run), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (directory / REPORT).write_text(render_html(run, tracks(directory, run.picture)), encoding="utf-8")


def load(directory: Path) -> RunResult:
    """Return the result that `save` wrote.

    Raises InputError: there is none, or it cannot be read.
    """
    path = directory / RESULT
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return RunResult(**{**_known(RunResult, raw), "scenarios": tuple(_scenario(each) for each in raw["scenarios"])})
    except FileNotFoundError:
        raise InputError(
            f"{directory} has no {RESULT}: it holds no report",
            hint="name a directory that `vdc test` wrote, or its run",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the result of a run: {error}") from error


def steps_in(directory: Path) -> Mapping[str, Mapping[str, float]]:
    """Return what each step of each scenario took, by the id of the test, as the histories in a run's directory say."""
    found: dict[str, Mapping[str, float]] = {}
    for path in sorted(directory.glob(f"*{_HISTORY}")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            # most lines are samples of probes, and are not worth reading
            found |= steps_of(events_in(line for line in lines if any(mark in line for mark in _OF_STEPS)))
    return found


def tracks(directory: Path, picture: str) -> tuple[Track, ...]:
    """Return the time lines of a run's data centres: one, or one for each process that had its own."""
    devices = devices_of(picture)
    paths = sorted(directory.glob(f"*{_HISTORY}"))
    return tuple(
        Track(name=path.name.removesuffix(_HISTORY).rstrip("-"), story=tell(_readable(path), devices=devices))
        for path in paths
    )


def _readable(path: Path) -> Iterator[Event]:
    """Yield the events of a history, and at its end how many of its lines hold none."""
    damaged: list[str] = []
    latest = 0.0
    for event in read(path, damaged=damaged.append):
        latest = max(latest, event.time)
        yield event
    if damaged:
        yield Event(time=latest, kind="note", source="history", data={f"{len(damaged)} lines cannot be read": True})


def _scenario(raw: Mapping[str, Any]) -> ScenarioResult:
    return ScenarioResult(
        **{
            **_known(ScenarioResult, raw),
            "outcome": Result(raw["outcome"]),
            "events": tuple(EventOutage(**_known(EventOutage, each)) for each in raw["events"]),
            "tries": tuple(raw.get("tries", ())),
        }
    )


def _known(kind: Any, raw: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return what a class has a field for: a result of a later version may say more."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in raw.items() if name in names}
