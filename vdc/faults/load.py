"""Faults of what a server has too little of: memory, processes, file descriptors, CPU time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import CommandError
from vdc.faults.base import Fault
from vdc.faults.inside import Inside, OfUnit, number
from vdc.wait import NotYet

_MIB: Final = 1024
_ENOUGH_SPARE: Final = 64


@dataclass(frozen=True, slots=True)
class MemoryPressure(Inside):
    """Something takes the memory of a server until only `leave` MiB can be had; the OOM killer takes it first."""

    leave: int = 64

    def __post_init__(self) -> None:
        if self.leave < 1:
            raise ValueError("at least 1 MiB is left")

    @property
    def name(self) -> str:
        """`memory of SERVER short`."""
        return f"memory of {self.server} short"

    @property
    def kind(self) -> str:
        """One word."""
        return "memory"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such server, or that it never has more than that."""
        lacks = Inside.missing(self, dc)
        if lacks is None and dc.topology.server(self.server).memory < 4 * self.leave * 2**20:
            return f"{self.server} has too little memory to tell {self.leave} MiB from what it has anyway"
        return lacks

    def begins(self, dc: DataCenter) -> str:
        """Fill a buffer of that size, and write it to somebody who does not read."""
        del dc
        return (
            "free=$(sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)\n"
            f"take=$((free - {self.leave * _MIB}))\n"
            "[ $take -gt 0 ]\n"
            "(echo 1000 > /proc/self/oom_score_adj; exec dd if=/dev/zero bs=${take}K count=1 2>/dev/null) |"
            " sleep infinity"
        )

    def ends(self) -> str:
        """It goes with the unit."""
        return ":"

    def asks(self, dc: DataCenter) -> str:
        """What can be had (proc(5), /proc/meminfo), and how long others waited for it (PSI)."""
        del dc
        return (
            "sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/available=\\1/p' /proc/meminfo\n"
            "sed -n 's/^some .*total=/stalled=/p' /proc/pressure/memory 2>/dev/null || :"
        )

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """As much can be had, or twice that."""
        available = number(seen, "available") / _MIB
        if broken and available > 1.5 * self.leave:
            raise NotYet(f"{self.server} still has {available:.0f} MiB")
        if not broken and available < 2 * self.leave:
            raise NotYet(f"{self.server} has no more than {available:.0f} MiB")


@dataclass(frozen=True, slots=True)
class ForksExhausted(OfUnit):
    """A service may have no more processes and threads than it has: each fork(2) of its fails (cgroups(7), pids)."""

    @property
    def name(self) -> str:
        """`forks of SERVICE of SERVER exhausted`."""
        return f"forks of {self.service} of {self.server} exhausted"

    @property
    def kind(self) -> str:
        """One word."""
        return "forks"

    def begins(self, dc: DataCenter) -> str:
        """Let systemd allow it as many as it has."""
        del dc
        return (
            f"{self._group}\nsystemctl set-property --runtime {self.quoted} TasksMax=$(wc -l < $group/cgroup.threads)"
        )

    def ends(self) -> str:
        """Take back what systemd was told."""
        folder = f"/run/systemd/system.control/{self.quoted}.d"
        return f"rm -f {folder}/50-TasksMax.conf\nrmdir {folder} 2>/dev/null\nsystemctl daemon-reload"

    def asks(self, dc: DataCenter) -> str:
        """Whether somebody who is among its processes can fork."""
        del dc
        return (
            f"{self._group}\n"
            "sh -c 'echo $$ > $0/cgroup.procs && echo joined=yes && (exit 0) && echo forked=yes' $group 2>/dev/null "
            "|| echo forked=no"
        )

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """They cannot, or can."""
        if seen.get("joined") != "yes":
            raise NotYet(f"nobody could get among the processes of {self.service} of {self.server}")
        if seen.get("forked") != ("no" if broken else "yes"):
            raise NotYet(f"a process of {self.service} of {self.server} {'still forks' if broken else 'cannot fork'}")

    @property
    def _group(self) -> str:
        return f"group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value {self.quoted})"


@dataclass(frozen=True, slots=True)
class FilesExhausted(OfUnit):
    """The main process of a service may have no more file descriptors than it has (getrlimit(2), RLIMIT_NOFILE)."""

    @property
    def name(self) -> str:
        """`file descriptors of SERVICE of SERVER exhausted`."""
        return f"file descriptors of {self.service} of {self.server} exhausted"

    @property
    def kind(self) -> str:
        """One word."""
        return "files"

    def begins(self, dc: DataCenter) -> str:
        """Lower the limit to the first descriptor that is free, and again when others become so."""
        del dc
        return (
            f"{self._first_free}\n"
            "prlimit --pid $main --nofile --output SOFT --noheadings > $mark.before\n"
            "echo $main > $mark.main\n"
            "least=$free\n"
            "while prlimit --pid $main --nofile=$least:; do\n"
            "  sleep 1\n"
            "  free=0; while [ -e /proc/$main/fd/$free ]; do free=$((free + 1)); done\n"
            "  [ $free -ge $least ] || least=$free\n"
            "done"
        )

    def ends(self) -> str:
        """Give that process its limit again, if it is still there."""
        return "prlimit --pid $(cat $mark.main) --nofile=$(cat $mark.before): || :"

    def asks(self, dc: DataCenter) -> str:
        """The limit, and the first descriptor that is free: the next one that is opened gets it (open(2))."""
        del dc
        return (
            f"{self._first_free}\n"
            'echo "free=$free"\n'
            'echo "limit=$(prlimit --pid $main --nofile --output SOFT --noheadings | tr -d " ")"'
        )

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """The first free one is beyond the limit, or there are many."""
        limit = 2**63 if seen.get("limit") == "unlimited" else number(seen, "limit")
        spare = limit - number(seen, "free")
        if broken and spare > 0:
            raise NotYet(f"{self.service} of {self.server} may open {spare} more")
        if not broken and spare < _ENOUGH_SPARE:
            raise NotYet(f"{self.service} of {self.server} may open only {max(0, spare)} more")

    @property
    def _first_free(self) -> str:
        return (
            f"main=$(systemctl show --property=MainPID --value {self.quoted})\n"
            "free=0; while [ -e /proc/$main/fd/$free ]; do free=$((free + 1)); done"
        )


@dataclass(frozen=True, slots=True)
class CpuStolen(Fault):
    """Others on its host take CPU time from a server: `percent` of what it could have (proc(5), steal)."""

    needs = "a cpu controller of cgroups on the host"

    server: str
    percent: int = 80

    def __post_init__(self) -> None:
        if not _LEAST_STOLEN <= self.percent <= _MOST_STOLEN:
            raise ValueError(f"between {_LEAST_STOLEN} and {_MOST_STOLEN} percent are stolen, else nobody could tell")

    @property
    def name(self) -> str:
        """`80 % of the CPU of SERVER stolen`."""
        return f"{self.percent} % of the CPU of {self.server} stolen"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such server, or why this host cannot."""
        if self.server not in dc.servers:
            return f"there is no server {self.server}"
        if not dc.topology.server(self.server).managed:
            return f"{self.server} has an image of the user's, and no guest agent"
        return dc.servers[self.server].lacks_steal()

    def inject(self, dc: DataCenter) -> None:
        """Take it."""
        dc.servers[self.server].steal(self.key, self.percent / 100)

    def bites(self, dc: DataCenter) -> None:
        """While the server has much to do, the host gives it no more than the rest, and keeps it from taking more."""
        machine = dc.servers[self.server]
        before = machine.throttled(self.key)
        used = self._used(dc)
        if used > 1.2 * self._left(dc):
            raise NotYet(f"{self.server} had {used:.2f} CPUs, expected {self._left(dc):.2f}")
        if machine.throttled(self.key) <= before:
            raise NotYet(f"{self.server} had {used:.2f} CPUs, and the host kept none from it")

    def heal(self, dc: DataCenter) -> None:
        """Give it back."""
        dc.servers[self.server].give_back(self.key)

    def healed(self, dc: DataCenter) -> None:
        """While the server has much to do, it has more than that, or waits for others that have it; nobody keeps it."""
        machine = dc.servers[self.server]
        kept, waited, began = machine.throttled(self.key), machine.cpu_waited(), time.monotonic()
        used = self._used(dc)
        waiting = (machine.cpu_waited() - waited) / (time.monotonic() - began)
        if machine.throttled(self.key) > kept:
            raise NotYet(f"the host still keeps CPU time from {self.server}")
        if used + waiting < 1.4 * self._left(dc):
            least = f"expected {1.4 * self._left(dc):.2f} together"
            raise NotYet(f"{self.server} had {used:.2f} CPUs and waited for {waiting:.2f}, {least}")

    def _left(self, dc: DataCenter) -> float:
        return dc.topology.server(self.server).cpu * (1 - self.percent / 100)

    def _used(self, dc: DataCenter) -> float:
        """Return how many CPUs a server has while all its own are busy."""
        machine = dc.servers[self.server]
        loops = " ".join(["timeout 3 sh -c 'while :; do :; done' &"] * machine.spec.cpu)
        began, used = time.monotonic(), machine.cpu_seconds()
        try:
            machine.run(["sh", "-s"], stdin=f"{loops} wait\n")
        except CommandError as error:
            raise NotYet(f"{self.server} is not kept busy: {error.output.strip()[-200:]}") from error
        return (machine.cpu_seconds() - used) / (time.monotonic() - began)


_LEAST_STOLEN: Final = 50
_MOST_STOLEN: Final = 95
