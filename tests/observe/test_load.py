from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event, read
from vdc.observe.load import LONGEST_STOP, MOST, Reading, load_between, sampling, starved
from vdc.wait import NotYet, wait_for

from .samples import unhurried

STAT = """cpu  {} 0 100 {} 50 0 10 {} 0 0
cpu0 1 0 1 1 1 0 1 0 0 0
cpu1 1 0 1 1 1 0 1 0 0 0
procs_running {}
"""


def proc(folder: Path, *, user: int, idle: int, steal: int = 0, stalled: int | None = None) -> Path:
    (folder / "stat").write_text(STAT.format(user, idle, steal, 3))
    if stalled is not None:
        (folder / "pressure").mkdir(exist_ok=True)
        for name in ("cpu", "io", "memory"):
            text = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={2 * stalled}\nfull avg10=0.00 total={stalled}\n"
            (folder / "pressure" / name).write_text(text)
    return folder


def load(time: float, *, seconds: float = 1.0, **data: float) -> Event:
    whole = {"seconds": seconds, "late": 0.0, "waited": 0.0, "steal": 0.0, **data}
    return Event(time=time, kind="load", source="host", data=whole)


def test_shares_are_of_the_time_between_two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: Iterator[float] = iter((10.0, 12.0))
    monkeypatch.setattr("vdc.observe.load.time.monotonic", lambda: next(moments))
    before = Reading.now(proc(tmp_path, user=100, idle=1000, stalled=0))
    after = Reading.now(proc(tmp_path, user=220, idle=1060, steal=20, stalled=500_000))
    assert load_between(before, after, [0.1, 0.3]) == {
        "seconds": 2.0,
        "late": 0.3,
        "waited": 0.2,
        "busy": 0.7,
        "steal": 0.1,
        "runnable": 3.0,
        "cpus": 2.0,
        "pressure": 0.5,
        "io": 0.25,
        "memory": 0.25,
    }


def test_a_kernel_without_pressure_tells_the_rest(tmp_path: Path) -> None:
    reading = Reading.now(proc(tmp_path, user=1, idle=1))
    later = Reading(time=reading.time + 1, cpu=reading.cpu, runnable=1, cpus=2, pressures={})
    assert "io" not in load_between(reading, later, [])


def test_a_host_that_stood_still_starved_what_ran_then() -> None:
    events = [load(11, late=0.0), load(13, seconds=2.0, late=1.4), load(14)]
    assert starved(events, start=10, end=14) == "the harness stood still for 1.4 s"
    assert starved(events, start=13.5, end=14) == ""
    assert starved(events, start=5, end=10.5) == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("waited", "the harness waited 50% of the time for a CPU for 5 s"),
        ("steal", "the hypervisor took 50% of the CPUs for 5 s"),
        ("memory", "all tasks waited 50% of the time for memory for 5 s"),
    ],
)
def test_a_share_that_lasts_starves(name: str, says: str) -> None:
    events = [load(float(second), **{name: 0.5 if 20 <= second < 26 else 0.0}) for second in range(10, 40)]
    assert starved(events, start=9, end=40) == says
    assert starved(events, start=30, end=40) == ""


def test_a_busy_disk_and_busy_cpus_starve_nobody_but_a_disk_that_does_nothing_else_does() -> None:
    assert starved([load(float(s), io=0.6, busy=1.0, pressure=1.0) for s in range(20)], start=0, end=20) == ""
    assert starved([load(float(s), io=0.9) for s in range(20)], start=0, end=20) != ""


def test_nobody_looking_is_no_proof() -> None:
    assert starved([], start=0, end=10) == ""


@unhurried
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0, 2),
    st.sampled_from([name for name in MOST if name != "io"]),
)
def test_it_is_starved_exactly_when_a_figure_is_exceeded(shares: list[float], late: float, name: str) -> None:
    events = [load(float(n + 1), **{name: share}) for n, share in enumerate(shares)]
    events.append(load(len(shares) + 1.0, late=late, **{name: 0.0}))
    shares = [*shares, 0.0]
    spans = [sum(shares[n : n + 5]) / 5 for n in range(len(shares) - 4)]
    expected = late > LONGEST_STOP or any(share > MOST[name] for share in spans)
    if all(abs(share - MOST[name]) > 1e-6 for share in spans):
        assert bool(starved(events, start=0, end=100)) is expected


def test_the_sampler_writes_while_the_body_runs(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"

    def sampled() -> Event:
        for event in read(history):
            return event
        raise NotYet((tmp_path / "load.log").read_text() or "nothing yet")

    with sampling(history):
        event = wait_for(sampled, what="a sample", timeout=60)
    assert event.kind == "load"
    assert 0.5 < event.data["seconds"] < 60
    assert 0 <= event.data["busy"] <= 1
    assert (tmp_path / "load.log").read_text() == "", sys.version
