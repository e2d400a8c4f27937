"""What a run found, for people and for machines. Pure, but for `stored`, which reads and writes a run's directory."""

from vdc.report.result import (
    FIRST_SCENARIO,
    FROM_CHECKPOINT,
    FROM_NOTHING,
    STANDARD_SUITE,
    EventOutage,
    RunResult,
    ScenarioResult,
    merged,
)
from vdc.report.screen import render_screen
from vdc.report.summary import render_summary

__all__ = [
    "FIRST_SCENARIO",
    "FROM_CHECKPOINT",
    "FROM_NOTHING",
    "STANDARD_SUITE",
    "EventOutage",
    "RunResult",
    "ScenarioResult",
    "merged",
    "render_screen",
    "render_summary",
]
