"""A run as one leaves it: its result, and the history of a data centre in its directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vdc.graph import draw
from vdc.history import Event, Recorder
from vdc.model.load import read_topology
from vdc.report import EventOutage, RunResult, ScenarioResult
from vdc.report.result import Result

ROOT = Path(__file__).parents[2]
EVIL = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 2'><!-- \u2028 ]]>"
"""What no name and no line of a log may do to a page."""

_HAD = {"os": "debian-12", "kernel": "6.1.0-56-cloud-amd64", "etcd": "3.4.23"}
_HAS = {"os": "debian-13", "kernel": "6.12.117+deb13-cloud-amd64", "etcd": "3.5.16"}


def run_of(events: Iterable[Event]) -> RunResult:
    """Return the result of a run with the scenarios that a history tells of."""
    done = [event for event in events if event.kind == "scenario" and event.data["phase"] == "done"]
    return RunResult(
        name="dctest",
        topology="small",
        host="Linux 6.18, 2 CPUs, 24 GiB",
        accelerator="tcg",
        slowness=1.0,
        scenarios=tuple(_scenario(event) for event in done),
        durations={"prepare": 1.6, "fabric": 0.4, "answering": 95.0, "total": 300.0},
        versions_before={f"rack{rack}-cs0": _HAD for rack in range(3)},
        versions_after={"rack0-cs0": _HAS},
        cluster="etcd",
        timers={"etcd election": "5 s (default 1 s)"},
        deselected={"scenarios/a.py::test_b": "it needs a cluster that speaks kubernetes"},
        picture=draw(read_topology(ROOT / "topologies/small.yml", ()), "svg"),
    )


def leave(directory: Path, events: Iterable[Event], name: str = "history.jsonl") -> None:
    """Write a history as a run does."""
    directory.mkdir(parents=True, exist_ok=True)
    Recorder(directory / name).write(events)


def _scenario(event: Event) -> ScenarioResult:
    outcome, test = Result(event.data["outcome"]), str(event.data["test"])
    failed = outcome is Result.FAILED
    return ScenarioResult(
        test=test,
        suite=test.split("/")[1],
        outcome=outcome,
        duration=event.data.get("seconds", 59.8),
        outages={"write_outage": 0.24, "read_outage": 3.41 if failed else 0.31},
        events=(EventOutage(event="rack0-tor0 off", write=0.24, read=None),),
        message=f"AssertionError: no read for 3.41 s: {EVIL}\nlonger than 2 s" if failed else "",
        location="scenarios/fault/test_servers.py:41" if failed else "",
    )
