"""What a run found, for people: a Markdown summary and the terminal's last screen. Pure."""

from vdc.report.result import FIRST_SCENARIO, EventOutage, RunResult, ScenarioResult, merged
from vdc.report.screen import render_screen
from vdc.report.summary import render_summary

__all__ = [
    "FIRST_SCENARIO",
    "EventOutage",
    "RunResult",
    "ScenarioResult",
    "merged",
    "render_screen",
    "render_summary",
]
