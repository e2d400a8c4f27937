"""What else this host was doing: a sampler beside the scenarios, and whether a verdict can rest on what it saw.

`python -m vdc.observe.load HISTORY` writes an event `load` every second until it is killed. Of each it says how late it
was woken itself, which is what any probe or timer of the harness suffers, too; what the hypervisor took (steal,
proc(5) /proc/stat); and for which share of the time tasks stood still for want of CPU, disk or memory
(Documentation/accounting/psi.rst: "some" of the CPU, "full" of the others).

Guests that compete for few cores are no starvation: the pressure on the CPU is told and not judged.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vdc import shell
from vdc.history import Event, Recorder
from vdc.wait import ticks

PERIOD: Final = 0.05
"""Seconds from one look at the clock to the next."""

_EVERY = 20  # looks make an event

SPAN: Final = 5.0
"""Seconds over which shares are judged: shorter ones heal by retransmission and by the clusters' own patience."""

LONGEST_STOP: Final = 1.0
"""Seconds. A harness or a guest that stood still for longer misses heartbeats (etcd's election timeout is 1 s)."""

MOST: Final[Mapping[str, float]] = MappingProxyType({"waited": 0.25, "steal": 0.25, "memory": 0.25, "io": 0.75})
"""The shares of time, over `SPAN`, above which the host was starved.

A busy disk is usual where guests sync, and so are late wake-ups where emulated guests boot: at most 18 % on two cores
with three guests and nothing else. Where other work was preferred there, they came to 34 to 73 %.
"""

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "waited": "the harness waited {} of the time for a CPU",
        "steal": "the hypervisor took {} of the CPUs",
        "memory": "all tasks waited {} of the time for memory",
        "io": "all tasks waited {} of the time for disks",
    }
)
_PRESSURES: Final = (("pressure", "cpu", "some"), ("io", "io", "full"), ("memory", "memory", "full"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel has counted since it booted.

    `cpu` are the fields of the line "cpu" of /proc/stat, `runnable` is how many tasks run or would,
    `pressures` are microseconds by our name of the pressure.
    """

    time: float
    cpu: tuple[int, ...]
    runnable: int
    cpus: int
    pressures: Mapping[str, int]

    @classmethod
    def now(cls, proc: Path = Path("/proc")) -> Reading:
        """Read it. Kernels without pressure files have none."""
        stat = (proc / "stat").read_text()
        lines = dict(line.split(" ", 1) for line in stat.splitlines())
        return cls(
            time=time.monotonic(),
            cpu=tuple(map(int, lines["cpu"].split())),
            runnable=int(lines["procs_running"]),
            cpus=sum(name.startswith("cpu") and name != "cpu" for name in lines),
            pressures=_pressures(proc / "pressure"),
        )


def load_between(before: Reading, after: Reading, late: Sequence[float]) -> dict[str, float]:
    """Return the data of an event `load`: shares of the time between two readings, from 0 to 1.

    `late` is how late each of the sampler's wake-ups was, in seconds. "late" is the longest of them, "waited" the share
    of the time that they come to.
    """
    seconds = after.time - before.time
    spent = [new - old for old, new in zip(before.cpu, after.cpu, strict=True)]
    # user nice system idle iowait irq softirq steal; guest and guest_nice are counted in the first two
    total = max(1, sum(spent[:8]))
    data = {
        "seconds": seconds,
        "late": max(late, default=0.0),
        "waited": sum(late) / seconds,
        "busy": 1.0 - (spent[3] + spent[4]) / total,
        "steal": spent[7] / total,
        "runnable": float(after.runnable),
        "cpus": float(after.cpus),
    }
    for name in before.pressures.keys() & after.pressures.keys():
        data[name] = (after.pressures[name] - before.pressures[name]) / 1e6 / seconds
    return {name: round(value, 4) for name, value in data.items()}


def starved(events: Iterable[Event], *, start: float, end: float) -> str:
    """Return how this host was starved between two moments, with figures; an empty text if it was not.

    It was if its tasks stood still for longer than `LONGEST_STOP`, or if over any `SPAN` one of the shares in `MOST`
    was exceeded; a span may begin before `start`. Nobody having looked is no proof of either, and is not told.
    """
    looked = [event for event in events if event.kind == "load"]
    samples = [(e.time - e.data["seconds"], e.time, e.data) for e in looked if start - SPAN < e.time]
    samples = [(begin, finish, data) for begin, finish, data in samples if begin < end]
    stopped = max((data["late"] for _, finish, data in samples if finish > start), default=0.0)
    found = [f"the harness stood still for {stopped:.1f} s"] if stopped > LONGEST_STOP else []
    for name, most in MOST.items():
        worst = _worst(samples, name)
        if worst > most:
            found.append(f"{_WORDS[name].format(f'{worst:.0%}')} for {SPAN:g} s")
    return "; ".join(found)


def _worst(samples: Sequence[tuple[float, float, Mapping[str, float]]], name: str) -> float:
    """Return the largest share over any stretch of `SPAN` that the samples cover, weighted by their lengths."""
    worst, first, total, seconds = 0.0, 0, 0.0, 0.0
    for begin, finish, data in samples:
        total += data.get(name, 0.0) * (finish - begin)
        seconds += finish - begin
        while first < len(samples) and seconds - (samples[first][1] - samples[first][0]) >= SPAN:
            length = samples[first][1] - samples[first][0]
            total -= samples[first][2].get(name, 0.0) * length
            seconds -= length
            first += 1
        if seconds >= SPAN:
            worst = max(worst, total / seconds)
    return worst


def _pressures(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, file, kind in _PRESSURES:
        path = folder / file
        text = path.read_text() if path.exists() else ""
        for line in text.splitlines():
            if line.startswith(kind):
                found[name] = int(line.rpartition("total=")[2])
    return found


@contextmanager
def sampling(history: Path) -> Iterator[None]:
    """Sample into a history for the time of the body; what the sampler says is in `load.log` beside it."""
    with history.with_name("load.log").open("ab") as log:
        process = shell.start([sys.executable, "-m", "vdc.observe.load", str(history)], output=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(history: Path) -> None:
    """Sample until killed."""
    recorder, before, last = Recorder(history), Reading.now(), time.monotonic()
    late: list[float] = []
    for now in ticks(PERIOD):
        late.append(max(0.0, now - last - PERIOD))
        last = now
        if len(late) >= _EVERY or late[-1] > LONGEST_STOP:
            after = Reading.now()
            recorder.record("load", "host", **load_between(before, after, late))
            before, late = after, []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
