"""How much CPU time a process may have, by a group of its own (cgroups(7)).

The group is called after whose doing it is and where the process was before, so that any process can undo it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from vdc.errors import BuildError

_PERIOD: Final = 100_000
"""Microseconds (Linux, scheduler/sched-bwc)."""
_MOUNTS: Final = Path("/proc/mounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Where groups of processes get their share of CPUs; `unified` is version 2."""

    mount: Path
    unified: bool

    def limit(self, pid: int, name: str, cpus: float) -> None:
        """Give a process no more than so many CPUs. Raises BuildError."""
        group = self.mount / f"{name}={quote(self._group_of(pid), safe='')}"
        try:
            if self.unified:
                (self.mount / "cgroup.subtree_control").write_text("+cpu")
            group.mkdir(exist_ok=True)
            for file, text in self._settings(round(cpus * _PERIOD)):
                (group / file).write_text(text)
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            self.free(name)
            raise BuildError(f"cgroup {group}", str(error)) from error

    def free(self, name: str) -> None:
        """Undo it: what is in the group goes back to where it was, or to where all begin. Raises BuildError."""
        for group in self.mount.glob(f"{name}=*"):
            before = self.mount / unquote(group.name.partition("=")[2]).lstrip("/")
            back = before if before.is_dir() else self.mount
            try:
                for pid in (group / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        (back / "cgroup.procs").write_text(pid)
                group.rmdir()
            except OSError as error:
                raise BuildError(f"cgroup {group}", str(error)) from error

    def throttled(self, name: str) -> int:
        """Return how often it kept processes from having more (sched-bwc, nr_throttled); 0 where there is no group."""
        for group in self.mount.glob(f"{name}=*"):
            for line in (group / "cpu.stat").read_text().splitlines():
                if line.startswith("nr_throttled "):
                    return int(line.split()[1])
        return 0

    def names(self, beginning: str) -> Iterator[str]:
        """Yield the groups whose name begins so."""
        yield from [group.name.partition("=")[0] for group in self.mount.glob(f"{beginning}*=*")]

    def _settings(self, quota: int) -> tuple[tuple[str, str], ...]:
        if self.unified:
            return (("cpu.max", f"{quota} {_PERIOD}"),)
        return (("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", str(quota)))

    def _group_of(self, pid: int) -> str:
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if ("cpu" in controllers.split(",")) or (self.unified and not controllers):
                return path
        return "/"


def group_name(instance: str, key: str) -> str:
    """Return the name of a group of a data centre."""
    return f"vdc-{instance}-{key}"


def free_all(instance: str) -> None:
    """Undo all of a data centre. Raises BuildError."""
    if found := controller():
        for name in groups(instance):
            found.free(name)


def groups(instance: str) -> tuple[str, ...]:
    """Return the groups of a data centre."""
    found = controller()
    names = found.names(group_name(instance, "")) if found else ()
    return tuple(name for name in names if name.rpartition("-")[0] == f"vdc-{instance}")  # not those of `instance-more`


def controller(mounts: str | None = None) -> Controller | None:
    """Return what shares CPUs out on this host, or None; `mounts` is as in /proc/mounts."""
    text = _MOUNTS.read_text(encoding="utf-8") if mounts is None else mounts
    for line in text.splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(",") and os.access(mount, os.W_OK):
            return Controller(mount=Path(mount), unified=False)
    for line in text.splitlines():
        _, mount, kind, *_ = line.split()
        known = Path(mount) / "cgroup.controllers"
        if kind == "cgroup2" and os.access(mount, os.W_OK) and known.exists() and "cpu" in known.read_text().split():
            return Controller(mount=Path(mount), unified=True)
    return None


def seconds(pid: int) -> float:
    """Return how much CPU time a process has had (proc(5), stat, fields 14 and 15). Raises ProcessLookupError."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(pid: int) -> float:
    """Return for how many seconds threads of a process were ready to run, and had no CPU of this host.

    It is the run delay of Linux, scheduler/sched-stats. Raises ProcessLookupError.
    """
    delays = list[int]()
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # of a thread that has just ended
            delays.append(int(file.read_text().split()[1]))
    if not delays:
        raise ProcessLookupError(pid)
    return sum(delays) / 1e9
