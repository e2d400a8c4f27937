"""How much memory a host has left, and how much its idle servers take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.pace import deadline
from vdc.host.ledger import kibibytes
from vdc.wait import NotYet, wait_for

_BOOT_SECONDS: Final = 120.0
_SETTLE_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 5.0
_STILL: Final = 0.01


def available() -> int:
    """Return the bytes of memory that the host has left for others (proc(5), MemAvailable)."""
    return kibibytes(Path("/proc/meminfo").read_text(encoding="utf-8"), "MemAvailable")


def settled(look: Callable[[], int]) -> Callable[[], int]:
    """Return a check, for `wait_for`, that a figure is what it was when it was looked at before, or nearly."""
    seen = 0

    def check() -> int:
        nonlocal seen
        before, seen = seen, look()
        if abs(seen - before) > _STILL * seen:
            raise NotYet(f"it went from {before} to {seen}")
        return seen

    return check


def resident(pid: int) -> int:
    """Return the bytes of memory of a process; of what it shares with others, its part (proc(5), Pss)."""
    return kibibytes(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8"), "Pss")


def idle_memory(dc: LiveDataCenter) -> int:
    """Return the bytes that all servers take once they have nothing more to boot and take no more of it."""
    pids = [int(dc.plan.context.process_file(name).read_text()) for name in dc.servers]
    with dc.steps.step("wait for quiet"):
        for server in dc.servers.values():
            # one where something failed is quiet as well
            server.run(["systemctl", "is-system-running", "--wait"], timeout=_BOOT_SECONDS, check=False)
        return wait_for(
            settled(lambda: sum(map(resident, pids))),
            what=f"the memory of {dc.name} to stay as it is",
            timeout=deadline(dc, _SETTLE_SECONDS),
            interval=_LOOK_SECONDS,
        )
