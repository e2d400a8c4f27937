"""What is another if something of a server starts again, told in a fraction of the time that a whole look takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vdc.datacenter.api import Machine
from vdc.errors import ClusterError
from vdc.upgrade.delivery import unit_states
from vdc.upgrade.looking import OWN, SCRIPT

_SECONDS: Final = 120.0

_REPLACED: Final = " (deleted)"
"""What the kernel adds to the path of a program whose file was replaced or removed (proc(5), /proc/PID/exe)."""

STEADY: Final = f"""\
{SCRIPT.splitlines()[0]}
echo '=== start'; systemctl show -p Id,SubState,InvocationID,NRestarts '*.service'
echo '=== mark'; ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|.* /proc/\\([0-9]*\\)/exe -> \\(.*\\)$|\\1 \\2|p'
echo '=== end'
"""


def running(machine: Machine) -> Mapping[str, str]:
    """Return what runs on a server: each service to its start and its restarts, each program to its processes.

    A program whose file was replaced under a process is that program all the same. A service that is started again has
    another invocation (systemd.exec(5), $INVOCATION_ID), whoever did so. One that systemd has restarted is told even
    while it does not run: between two starts that is what it looks like. Raises CommandError, WaitTimeout,
    ClusterError: it does not tell.
    """
    told = machine.run(["sh", "-s"], stdin=STEADY, timeout=_SECONDS).stdout
    units, _, rest = told.partition("=== start\n")[2].partition("=== mark\n")
    marks = rest.partition("=== ")[0]
    if "=== end" not in rest or not units.strip():
        raise ClusterError(f"{machine.name} does not tell what runs: {told.strip()[-200:]!r}")
    services = {
        each["Id"]: f"start {each['InvocationID']}, {each['NRestarts']} restarts"
        for each in unit_states(units)
        if _lasting(each) and not _passing(each["Id"])
    }
    processes: dict[str, list[int]] = {}
    for line in marks.splitlines():
        pid, _, executable = line.partition("|")[0].removesuffix(_REPLACED).partition(" ")
        if executable not in OWN:
            processes.setdefault(executable, []).append(int(pid))
    return {**services, **{name: " ".join(map(str, sorted(pids))) for name, pids in processes.items()}}


def _lasting(unit: Mapping[str, str]) -> bool:
    """Return whether a service runs, or would if it did not end again and again."""
    return unit.get("SubState") == "running" or unit.get("NRestarts", "0") != "0"


def _passing(unit: str) -> bool:
    """Return whether a service is of a connection or a session, and not the server's own."""
    return "@" in unit
