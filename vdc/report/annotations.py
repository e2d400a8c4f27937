"""What GitHub shows beside the line of a scenario that did not pass. Pure.

The format is that of GitHub's workflow commands (docs.github.com, "Workflow commands for GitHub Actions"): a line of
the job's log, in which a few letters of texts and of properties are written as in URLs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from vdc.report.result import Result, RunResult, ScenarioResult

_LEVELS: Final[Mapping[Result, str]] = MappingProxyType(
    {
        Result.FAILED: "error",
        Result.ERROR: "error",
        Result.INCONCLUSIVE: "warning",
        Result.QUARANTINED: "notice",
    }
)
_TEXT: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY: Final = (*_TEXT, (":", "%3A"), (",", "%2C"))
_CHARACTERS: Final = 1000


def render_annotations(run: RunResult) -> Iterator[str]:
    """Yield a line for each scenario that did not pass: what failed, and at which line."""
    for scenario in run.scenarios:
        level = _LEVELS.get(scenario.outcome)
        if level is not None:
            file, _, line = (scenario.location or scenario.test.partition("::")[0]).rpartition(":")
            place = {"file": file or line, "line": line if file else "", "title": f"{scenario.title}: {scenario.told}"}
            told = ",".join(f"{name}={_written(value, _PROPERTY)}" for name, value in place.items() if value)
            yield f"::{level} {told}::{_written(_message(scenario), _TEXT)}"


def _message(scenario: ScenarioResult) -> str:
    texts = filter(None, (scenario.note, scenario.message.strip()))
    return "\n".join(texts)[:_CHARACTERS] or f"{scenario.test} {scenario.outcome}"


def _written(text: str, letters: tuple[tuple[str, str], ...]) -> str:
    for letter, code in letters:
        text = text.replace(letter, code)
    return text
