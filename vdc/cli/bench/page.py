"""What the report of a long run takes, measured in a process of its own: `python -m vdc.cli.bench.page FOLDER`.

The browser is Chromium, without a window; the page says itself when its time line was drawn, counted from when it was
asked for (`performance.now`, w3.org/TR/hr-time-3).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

from vdc.graph import draw
from vdc.history import Event, read
from vdc.model.load import read_topology
from vdc.report import RunResult, ScenarioResult
from vdc.report.result import Result
from vdc.report.stored import REPORT, save
from vdc.shell import find, run
from vdc.testing.histories import history

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
_READY = re.compile(r'data-ready="(\d+)"')
_SECONDS = 120.0


def main(folder: Path, *, seconds: float = 1800.0) -> None:
    """Make the report of half an hour of six probes at 10 ms, and open it; print the figures as JSON."""
    path = folder / "history.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(event.to_line() for event in history(seconds=seconds))
    done = [event for event in read(path) if event.kind == "scenario" and event.data["phase"] == "done"]
    start = time.monotonic()
    save(_run(done), folder)
    made = time.monotonic() - start
    size = (folder / REPORT).stat().st_size
    sys.stdout.write(json.dumps({"made": made, "size": size, "opened": opened(folder / REPORT)}) + "\n")


def opened(page: Path) -> float | None:
    """Return in how many seconds a page was drawn; None where there is no browser."""
    browser = next((path for name in _BROWSERS if (path := find(name))), None)
    if browser is None:
        return None
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = [*_OPTIONS, *sandbox, f"--user-data-dir={page.parent / 'profile'}"]
    text = run([browser, *options, "--dump-dom", page.as_uri()], timeout=_SECONDS).stdout
    found = _READY.search(text)
    return int(found[1]) / 1000 if found else _SECONDS


def _run(done: list[Event]) -> RunResult:
    scenarios = (
        ScenarioResult(test=event.data["test"], suite="fault", outcome=Result(event.data["outcome"]), duration=60.0)
        for event in done
    )
    topology = Path("topologies/small.yml")
    return RunResult(
        name="bench-report", topology="small", host="", accelerator="", slowness=1.0, scenarios=tuple(scenarios),
        picture=draw(read_topology(topology), "svg") if topology.exists() else "",
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
