"""What is wrong inside servers in memory, as scripts of `vdc.faults.inside` made it. Clocks take real time."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vdc.shell import Completed
from vdc.testing.lies import Lie
from vdc.wait import ticks

_HEAD: Final = re.compile(r": vdc-fault (begin|end|ask|look) (\w+) (\w+)\n")
_HOUR: Final = 3600.0
_HASTE: Final = 500
"""So many times as fast do commands sleep."""
_SILENCING: Final = frozenset({"stopped", "frozen"})

_WELL: Final = "ActiveState=active\nInvocationID=1\nMainPID=7\nprocess=S\n"
_TOLD: Final[Mapping[str, tuple[str, str]]] = {
    "stopped": (_WELL, "ActiveState=inactive\nInvocationID=\nMainPID=0\nprocess=\n"),
    "frozen": (_WELL, "ActiveState=active\nInvocationID=1\nMainPID=7\nprocess=T\n"),
    "killed": (_WELL, "ActiveState=active\nInvocationID=2\nMainPID=8\nprocess=S\nbefore=1\n"),
    "storm": (_WELL, "ActiveState=active\nInvocationID=9\nMainPID=9\nprocess=S\ncount=99\n"),
    "memory": ("available=300000\n", "available=1000\nstalled=100\n"),
    "forks": ("joined=yes\nforked=yes\n", "joined=yes\nforked=no\n"),
    "registry": ("registry0=yes\n", "registry0=no\n"),
    "files": ("free=20\nlimit=65536\n", "free=20\nlimit=20\n"),
}


@dataclass(frozen=True, slots=True)
class _Begun:
    kind: str
    script: str
    at: float

    def ahead(self, now: float) -> float:
        """Return how far ahead it puts the clock."""
        if moved := re.search(r"date --set '(\d+) seconds( ago)?'", self.script):
            return -float(moved[1]) if moved[2] else float(moved[1])
        tick = re.search(r"adjtimex -q -t (\d+)", self.script)
        return (now - self.at) * (int(tick[1]) / 10_000 - 1) if tick else 0.0


class Insides:
    """All servers. `told` is what scripts of a kind are told where all is well, and where it is not.

    `passes` is called where a command sleeps, with the seconds.
    """

    def __init__(self, lies: Callable[[], frozenset[Lie]], changed: Callable[[], None]) -> None:
        self._lies = lies
        self._changed = changed
        self._begun: dict[str, dict[str, _Begun]] = defaultdict(dict)
        self.told = dict(_TOLD)
        self.passes: Callable[[float], None] = _hasten
        self._stolen: dict[str, dict[str, float]] = defaultdict(dict)
        self.others = 0.0

    def run(self, server: str, argv: tuple[str, ...], stdin: str) -> Completed | None:
        """Run one of the commands that faults inside servers need; None if it is another."""
        match argv, _HEAD.match(stdin):
            case ("sleep", seconds), _:
                self.passes(float(seconds))
                return _said(argv, "")
            case (_, "-m", "vdc.cluster.certificates", *_), _:
                return _said(argv, f"{time.time() + (-_HOUR if self._expired() else _HOUR)}\n")
            case ("sh", "-s"), re.Match() as head:
                return _said(argv, self._do(server, head[1], head[2], head[3], stdin))
        return None

    def without(self, service: str) -> frozenset[str]:
        """Return the servers on which a service whose name ends so does not serve."""
        return frozenset(
            server
            for server, begun in self._begun.items()
            for each in begun.values()
            if each.kind in _SILENCING and f"{service}.service" in each.script
        )

    def _expired(self) -> bool:
        return any(each.kind == "expired" for begun in self._begun.values() for each in begun.values())

    def ahead(self, server: str) -> float:
        """Return how many seconds the clock of a server is ahead."""
        return sum(each.ahead(time.time()) for each in self._begun[server].values())

    def steal(self, server: str, key: str, share: float) -> None:
        """Take a share of CPU time, or give it back."""
        if (Lie.FAULT_WITHOUT_EFFECT if share else Lie.NEVER_HEALS) not in self._lies():
            self._stolen[server][key] = share

    def throttled(self, server: str, key: str) -> int:
        """Return a figure that grows while CPU time is taken."""
        return time.monotonic_ns() if self._stolen[server].get(key) else 0

    def cpu_seconds(self, server: str, cpus: int) -> float:
        """Return a figure that grows as if all CPUs were busy."""
        had = 1 - max(self._stolen[server].values(), default=0.0)
        return time.monotonic() * cpus * min(had, 1 - self.others)

    def cpu_waited(self) -> float:
        """Return a figure that grows by the share of a CPU that others have."""
        return time.monotonic() * self.others

    def _do(self, server: str, verb: str, kind: str, key: str, script: str) -> str:
        if verb == "begin" and Lie.FAULT_WITHOUT_EFFECT not in self._lies():
            self._begun[server][key] = _Begun(kind, script, time.time())
        if verb == "end" and Lie.NEVER_HEALS not in self._lies():
            self._begun[server].pop(key, None)
        if verb in {"begin", "end"}:
            self._changed()
        return self.told.get(kind if verb == "ask" else verb, ("", ""))[key in self._begun[server]]


def _hasten(seconds: float) -> None:
    """Sleep, and not for as long."""
    for _ in ticks(seconds / _HASTE, duration=seconds / _HASTE):
        pass


def _said(argv: tuple[str, ...], text: str) -> Completed:
    return Completed(argv=argv, status=0, stdout=text, stderr="")
