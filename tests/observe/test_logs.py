from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vdc.history import Event
from vdc.observe.logs import Logs, bird_events, console_events

BIRD = """\
2026-11-22 13:53:04.193 <INFO> Started
2026-11-22 13:53:04.193 <TRACE> kernel4: State changed to up
2026-11-22 13:53:04.193 <TRACE> bfd1: State changed to up
2026-11-22 13:53:04.196 <TRACE> bfd1: Session to 10.0.0.2 changed state from Down to Init
2026-11-22 13:53:04.339 <TRACE> bfd1: Session to 10.0.0.0 changed state from Down to Up
2026-11-22 13:53:04.400 <TRACE> spine1: State changed to start
2026-11-22 13:53:05.023 <TRACE> spine1: State changed to up
2026-11-22 13:53:05.145 <TRACE> rack0_cp0: Connecting to 10.2.0.2 from local address 10.2.0.1
half a line
"""

CONSOLE = """\
2026-11-22T13:53:04.193Z [    0.000000] Linux version 6.1.0
2026-11-22T13:53:05.193Z
2026-11-22T13:53:06.193Z [    9.1] Out of memory: Killed process 7 (etcd)
no stamp
"""


def of(event: Event) -> tuple[float, str, dict[str, object]]:
    return round(event.time, 3), event.source, event.data


def test_sessions_of_bgp_and_bfd_are_told_and_nothing_else_of_bird() -> None:
    start = datetime(2026, 11, 22, 13, 53, 4).timestamp()  # local time, as BIRD's
    events = list(bird_events(BIRD.splitlines(), "rack0-tor0", start))
    assert {event.kind for event in events} == {"session"}
    assert list(map(of, events)) == [
        (0.196, "rack0-tor0", {"protocol": "bfd", "peer": "10.0.0.2", "state": "down", "text": "Init"}),
        (0.339, "rack0-tor0", {"protocol": "bfd", "peer": "10.0.0.0", "state": "up", "text": "Up"}),
        (0.4, "rack0-tor0", {"protocol": "bgp", "peer": "spine1", "state": "down", "text": "start"}),
        (1.023, "rack0-tor0", {"protocol": "bgp", "peer": "spine1", "state": "up", "text": "up"}),
    ]


def test_lines_of_a_console_are_told_with_the_rule_they_break() -> None:
    start = datetime(2026, 11, 22, 13, 53, 4, tzinfo=UTC).timestamp()
    assert list(map(of, console_events(CONSOLE.splitlines(), "rack0-cs0", start))) == [
        (0.193, "rack0-cs0", {"line": "[    0.000000] Linux version 6.1.0"}),
        (2.193, "rack0-cs0", {"line": "[    9.1] Out of memory: Killed process 7 (etcd)", "rule": "oom"}),
    ]


def test_of_very_many_lines_those_that_break_a_rule_are_kept() -> None:
    stamp = "2026-11-22T13:53:04.193Z"
    lines = [f"{stamp} line {number}" for number in range(5000)] + [f"{stamp} Oops: 0002"]
    events = list(console_events(lines, "s", 0.0))
    assert len(events) == 2001
    assert events[-1].data["rule"] == "oops"


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    (tmp_path / "bird").mkdir()
    (tmp_path / "consoles").mkdir()
    (tmp_path / "bird" / "spine0.log").write_text(BIRD)
    (tmp_path / "consoles" / "rack0-cs0.log").write_text(CONSOLE)
    return tmp_path


def test_all_logs_are_read_in_the_order_of_time_from_where_they_were(run_directory: Path) -> None:
    assert [event.kind for event in Logs(run_directory, {}).since()] != []
    logs = Logs.now(run_directory)
    assert logs.since() == []
    with (run_directory / "bird" / "spine0.log").open("a") as file:
        file.write("2026-11-22 13:53:09.023 <TRACE> spine1: State changed to down\n2026-11-22 13:53:10.0 <TRACE> torn")
    (run_directory / "consoles" / "rack1-cs0.log").write_text("2026-11-22T13:53:08.193Z came later\n")
    assert {event.source for event in logs.since()} == {"spine0", "rack1-cs0"}
    assert len(logs.since()) == 2


def test_a_log_that_was_begun_anew_is_read_from_its_start(run_directory: Path) -> None:
    logs = Logs.now(run_directory)
    (run_directory / "bird" / "spine0.log").write_text("2026-11-22 13:53:09.023 <TRACE> spine1: State changed to up\n")
    assert [event.data["state"] for event in logs.since()] == ["up"]
