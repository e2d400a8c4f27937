"""A history as a long run with many probes leaves one, made from a seed: for tests, for the bench, and to look at."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vdc.history import Event

START: Final = 1000.0
"""When it begins, in seconds of the monotonic clock."""

PATHS: Final = ("rack0 → rack1", "rack0 → rack2", "rack1 → rack2", "external → rack0", "external → rack1", "service")

_WALL: Final = 1_795_000_000.0  # the time of day then
_SESSIONS: Final = ("spine0", "spine1", "rack0-tor0", "rack1-tor1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A scenario of `seconds` with a fault, with an outage of the paths when it begins and when it ends."""

    test: str
    fault: str
    server: str
    seconds: float = 60.0
    outages: tuple[float, float] = (0.24, 0.03)
    outcome: str = "passed"


ACTS: Final[Sequence[Act]] = (
    Act(test="scenarios/fault/test_fabric_faults.py::test_the_loss_of_one_tor_is_survived", fault="rack0-tor0 off",
        server="rack0-tor0"),
    Act(test="scenarios/fault/test_fabric_faults.py::test_a_cut_server_link_is_survived",
        fault="rack0-cs0 eth0 unplugged", server="", outages=(0.12, 0.02)),
    Act(test="scenarios/fault/test_servers.py::test_a_crashed_leader_is_replaced", fault="rack1-cs0 crashed",
        server="rack1-cs0", outages=(3.4, 0.05), outcome="failed"),
    Act(test="scenarios/fault/test_fabric_faults.py::test_the_loss_of_one_spine_is_survived", fault="spine1 off",
        server="spine1", outages=(0.31, 0.03)),
    Act(test="scenarios/reboot/test_reboot.py::test_a_graceful_reboot_of_one_server_goes_unnoticed",
        fault="rack2-cs0 reboots", server="rack2-cs0", outages=(0.6, 0.04)),
)  # fmt: skip


def history(
    *, seconds: float = 1800.0, period: float = 0.01, paths: Sequence[str] = PATHS, seed: int = 0
) -> Iterator[Event]:
    """Yield the events of such a run, samples every `period` seconds of each path, roughly in order of time."""
    maker = _Maker(random.Random(seed), period, paths)
    yield Event(time=START, kind="clock", source="harness", data={"wall": _WALL})
    yield from maker.step("build the fabric", START + 0.01, 1.4)
    yield from maker.step("wait for everything to converge", START + 1.5, 2.2)
    now, number = START + 4.0, 0
    while now + 20 < START + seconds:
        act = ACTS[number % len(ACTS)]
        number += 1
        name = act.test if number <= len(ACTS) else f"{act.test}[{number // len(ACTS)}]"
        yield from maker.act(act, name, now, min(act.seconds, START + seconds - now))
        now += act.seconds + 1.0
    yield from maker.load(START, seconds)


@dataclass(slots=True)
class _Maker:
    random: random.Random
    period: float
    paths: Sequence[str]

    def act(self, act: Act, test: str, start: float, seconds: float) -> Iterator[Event]:
        """Yield a scenario: its fault, what sessions and consoles say of it, and the samples."""
        end, bad, good = start + seconds, start + 0.3 * seconds, start + 0.7 * seconds
        yield _event(start, "scenario", test=test, phase="start", attempt=1)
        for time, phase in ((bad, "inject"), (bad + 0.08, "bites"), (good, "heal"), (good + 1.2, "healed")):
            yield _event(time, "fault", name=act.fault, phase=phase)
        yield from self.step(f"{act.fault}: inject", bad + 0.001, 0.04)
        yield from self.step("wait until all is whole again", good + 1.3, 3.0)
        if act.server:
            yield _event(bad + 0.01, "power", server=act.server, action="off")
            yield _event(good + 0.02, "power", server=act.server, action="on")
            for router in (each for each in _SESSIONS if each != act.server):
                session = act.server.replace("-", "_")
                for protocol, lost, back in (("bfd", 0.12, 0.9), ("bgp", 0.15, 1.1)):
                    yield _event(bad + lost, "session", router, protocol=protocol, peer=session, state="down")
                    yield _event(good + back, "session", router, protocol=protocol, peer=session, state="up")
            if act.server.endswith("cs0"):
                yield from self.inside(act.server, bad, good)
        if act.outcome == "failed":
            text = "Kernel panic - not syncing: Fatal exception in interrupt"
            yield _event(bad + 0.4, "console", act.server, line=text, rule="panic")
        for number, path in enumerate(self.paths):
            delay = 0.003 * number
            yield from self.samples(path, start + 0.5 + delay, end - 0.2, {bad: act.outages[0], good: act.outages[1]})
        yield _event(end, "scenario", test=test, phase="done", outcome=act.outcome, attempt=1)

    def inside(self, server: str, bad: float, good: float) -> Iterator[Event]:
        """Yield what the hypervisor, journals and the cluster say of a server that fails and comes back."""
        yield _event(bad + 0.012, "machine", server, name="stopped", text="destroyed")
        yield _event(good + 0.022, "machine", server, name="started", text="booted")
        yield _event(good + 9.0, "offset", server, seconds=0.0021, uncertainty=0.0009)
        journal = {
            "who": "etcd",
            "priority": 4,
            "text": "lost the TCP streaming connection with peer",
            "uncertainty": 0.001,
        }
        yield _event(bad + 0.2, "journal", "rack0-cs0", **journal)
        failed = {"who": "systemd", "priority": 3, "text": "Failed to start it", "uncertainty": 0.001}
        yield _event(good + 8.0, "journal", server, **failed)
        leader = {"name": "leader", "text": "elected leader 8e9e at term 3", "uncertainty": 0.001}
        yield _event(bad + 1.4, "cluster", "rack2-cs0", **leader)
        unready = {"name": "NodeNotReady", "text": f"Node/{server}: status is now: NodeNotReady", "uncertainty": 1.0}
        yield _event(bad + 5.0, "cluster", "node-controller", **unready, bad=True)

    def samples(self, path: str, start: float, end: float, dark: Mapping[float, float]) -> Iterator[Event]:
        """Yield the samples of a path, which fail when it is dark, and what its probe missed."""
        source, number, now = f"http-probe {path} {self.random.getrandbits(48):012x}", 0, start
        while now < end:
            broken = any(since <= now < since + lasts for since, lasts in dark.items())
            data: dict[str, Any] = {"op": "read", "key": "k", "value": None if broken else "v", "member": path}
            took = 0.5 * self.period if broken else self.random.lognormvariate(-6.6, 0.35)
            outcome = {"outcome": "failed", "error": "timed out"} if broken else {"outcome": "ok"}
            yield Event(time=now, kind="op", source=source, data={**data, "end": round(now + took, 6), **outcome})
            number += 1
            now = start + number * self.period
            if number % 40_000 == 39_999:
                yield _event(now + 0.4, "gap", source, seconds=0.4)
                start += 0.4

    def step(self, name: str, start: float, seconds: float) -> Iterator[Event]:
        """Yield a step."""
        yield _event(start, "step", name=name, phase="start")
        yield _event(start + seconds, "step", name=name, phase="done")

    def load(self, start: float, seconds: float) -> Iterator[Event]:
        """Yield the host's load, once a second."""
        busy = 0.4
        for second in range(int(seconds)):
            busy = min(1.0, max(0.1, busy + self.random.gauss(0, 0.05)))
            late = self.random.expovariate(1 / 0.002)
            yield _event(
                start + second, "load", "host", busy=round(busy, 3), cpu=round(busy**3, 3), late=round(late, 5)
            )


def _event(time: float, kind: str, source: str = "harness", /, **data: object) -> Event:
    return Event(time=time, kind=kind, source=source, data=data)
