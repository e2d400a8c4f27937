"""What a server tells of its boots: how each began, and how it ended. From its journal, which outlives them.

systemd notes that it has reached `reboot.target` or `poweroff.target`, and the journal that it ends (systemd's
catalog of messages, sd-messages.h). A boot that ended without these was cut off: by a loss of power, a reset or a
panic. Of that the kernel is a second witness: it has to recover the root disk when it mounts that again (ext4(5): the
feature `needs_recovery` is set while it is mounted). What a journal has not synced yet is lost with the power, even all
it knows of a young boot: so `remember` first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vdc.datacenter.api import DataCenter, Machine

JOURNAL_BEGINS: Final = "f77379a8490b408bbe5f6940505a777b"
JOURNAL_ENDS: Final = "d93fb3c9c24d451a97cea615ce59c00b"
UNIT_STARTED: Final = "39f53479d3a045ac8e11786248231fbf"
_TARGETS: Final[Mapping[str, str]] = MappingProxyType({"reboot.target": "restart", "poweroff.target": "power-off"})

ASK: Final = (
    "journalctl", "--directory=/var/log/journal", "--no-pager", "--output=json", "--output-fields=MESSAGE_ID,UNIT",
    f"MESSAGE_ID={JOURNAL_BEGINS}", f"MESSAGE_ID={JOURNAL_ENDS}",
    "+", f"MESSAGE_ID={UNIT_STARTED}", *(f"UNIT={target}" for target in _TARGETS),
)  # fmt: skip
"""What a server is asked."""

SYNC: Final = (("journalctl", "--sync"), ("sync", "--file-system", "/var/log/journal"))
"""How a server's journal is brought onto its disk: systemd 252 only begins to write when it is asked to sync."""

RECOVERED: Final = "EXT4-fs (vda): recovery complete"

_TIMEOUT: Final = 60.0
_LOOKS: Final = 5


class End(StrEnum):
    """How a boot ended."""

    RUNS = "runs"
    RESTART = "restart"
    POWER_OFF = "power-off"
    CUT = "cut"
    FORGOTTEN = "forgotten"
    """The root disk is another one than then."""
    DOUBTFUL = "doubtful"
    """The journal and the kernel contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """A boot of a server. `begun`: when its journal began; `ended`: when it said that it ends, or None.

    Times are seconds, as `boots_of` says on which clock. `id` is written as the kernel does.
    """

    id: str
    begun: float
    ended: float | None
    end: End


def remember(machine: Machine) -> None:
    """Have a server's journal know of the boot that runs, whatever becomes of it. Raises CommandError, WaitTimeout."""
    for argv in SYNC:
        machine.run(argv, timeout=_TIMEOUT)


def boots_of(dc: DataCenter, machine: Machine) -> tuple[Boot, ...]:
    """Ask a server for its boots, oldest first; the last one runs. Times are of the host's monotonic clock.

    Raises CommandError, WaitTimeout.
    """
    said = machine.run(ASK, timeout=_TIMEOUT).stdout
    recovered = RECOVERED in machine.run(["dmesg"], timeout=_TIMEOUT).stdout
    return checked(parse(said.splitlines(), ahead=_ahead(dc, machine)), recovered=recovered)


def checked(boots: Sequence[Boot], *, recovered: bool) -> tuple[Boot, ...]:
    """Return boots as the kernel of the last one bears them out, which had to recover the root disk, or not. Pure."""
    if len(boots) < 2 or (boots[-2].end is End.CUT) is recovered:
        return tuple(boots)
    return (*boots[:-2], replace(boots[-2], end=End.DOUBTFUL), boots[-1])


def parse(lines: Iterable[str], *, ahead: float = 0.0) -> tuple[Boot, ...]:
    """Return the boots that the answer to `ASK` tells of; its clock is so many seconds ahead of ours. Pure."""
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    target: dict[str, End] = {}
    for entry in map(json.loads, filter(None, map(str.strip, lines))):
        boot, at = str(entry["_BOOT_ID"]), int(entry["__REALTIME_TIMESTAMP"]) / 1e6 - ahead
        begun.setdefault(boot, at)
        match entry.get("MESSAGE_ID"), entry.get("UNIT"):
            case message, _ if message == JOURNAL_BEGINS:
                ended.pop(boot, None)  # its journal was started once more
            case message, _ if message == JOURNAL_ENDS:
                ended[boot] = at
            case _, unit if unit in _TARGETS:
                target[boot] = End(_TARGETS[unit])
    last = next(reversed(begun), "")
    return tuple(
        Boot(
            id=_written(boot),
            begun=at,
            ended=ended.get(boot) if boot != last else None,
            end=End.RUNS if boot == last else target.get(boot, End.CUT) if boot in ended else End.CUT,
        )
        for boot, at in begun.items()
    )


def _ahead(dc: DataCenter, machine: Machine) -> float:
    """Return by how much a server's clock is ahead of the host's monotonic clock: by the quickest of some looks."""
    looks = []
    for _ in range(_LOOKS):
        before = time.monotonic()
        told = machine.clock() if dc.slowness else time.time()
        after = time.monotonic()
        looks.append((after - before, told - (before + after) / 2))
    return min(looks)[1]


def _written(boot: str) -> str:
    """Return a boot ID as the kernel writes it: journals leave its dashes out."""
    plain = boot.replace("-", "")
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:])) if len(plain) == 32 else boot
