"""What a console must never say. Pure.

The texts are those of Linux (kernel/panic.c, mm/oom_kill.c, kernel/watchdog.c, kernel/hung_task.c, kernel/rcu,
arch/x86/mm/fault.c, block/blk-core.c) and of systemd (src/core/transaction.c, job.c, src/sulogin-shell).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vdc.history import Event
from vdc.observe.verdict import Kind, Verdict, shown

RULES: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "panic": re.compile(r"Kernel panic - not syncing|end Kernel panic"),
        "oops": re.compile(
            r"\bOops:|BUG: unable to handle|BUG: kernel NULL pointer|kernel BUG at |general protection fault[,:]"
        ),
        "oom": re.compile(r"Out of memory: Killed process|Memory cgroup out of memory|invoked oom-killer"),
        "soft lockup": re.compile(r"BUG: soft lockup - CPU#\d+ stuck"),
        "hard lockup": re.compile(r"[Ww]atchdog detected hard LOCKUP"),
        "hung task": re.compile(r"INFO: task .+ blocked for more than \d+ seconds"),
        "stall": re.compile(r"rcu: INFO: \S+ (self-)?detected (expedited )?stalls?"),
        "kernel warning": re.compile(r"WARNING: CPU: \d+ PID: \d+"),
        "segfault": re.compile(r"\bsegfault at [0-9a-f]+ ip |traps: \S+\[\d+\] (trap|general)"),
        "I/O error": re.compile(r"\bI/O error, dev \w+|Buffer I/O error on dev"),
        "file system": re.compile(
            r"(EXT4|XFS|BTRFS)\S* (error|\(\w+\): .*(orrupt|hutdown))|Remounting filesystem read-only"
        ),
        "ordering cycle": re.compile(r"Found (left-over )?ordering cycle|to break ordering cycle"),
        "emergency": re.compile(r"You are in (emergency|rescue) mode|Entering emergency mode"),
    }
)
"""Rule to what breaks it. Of rules that fit a line, the first counts."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A line of the console of `server` that breaks `rule`, seen at `time` (host monotonic seconds)."""

    time: float
    server: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.server}: {self.rule}: {self.text}"


def rule_of(text: str) -> str:
    """Return the rule that a line of a console breaks, or an empty text. Colours do not count."""
    plain = _plain(text)
    return next((name for name, pattern in RULES.items() if pattern.search(plain)), "")


def findings(events: Iterable[Event]) -> tuple[Finding, ...]:
    """Return what consoles said that breaks a rule; a panic that a power action asked for does not."""
    found: list[Finding] = []
    crashed: set[str] = set()
    for event in sorted(events, key=lambda event: event.time):
        if event.kind == "power":
            crashed = _crashed(crashed, str(event.data["server"]), str(event.data["action"]))
        elif event.kind == "console" and (rule := rule_of(event.data["line"])):
            if event.source in crashed and rule in {"panic", "oops"}:
                continue
            text = _plain(event.data["line"]).strip()
            found.append(Finding(time=event.time, server=event.source, rule=rule, text=text))
    return tuple(found)


def expect_rules(names: Iterable[object]) -> None:
    """Pass if these are names of rules; raises ValueError with those that are not."""
    if unknown := sorted({str(name) for name in names} - RULES.keys()):
        raise ValueError(f"no console rule {', '.join(unknown)}; there are {', '.join(RULES)}")


def console_clean(events: Iterable[Event], *, allowed: Collection[str] = ()) -> Verdict:
    """Judge whether no console broke a rule other than those `allowed`. Raises ValueError: there is no such rule."""
    expect_rules(allowed)
    seen = tuple(events)
    lines = sum(event.kind == "console" for event in seen)
    bad = [str(finding) for finding in findings(seen) if finding.rule not in allowed]
    return Verdict(
        kind=Kind.INVALID if bad else Kind.VALID if lines else Kind.UNKNOWN,
        checker="console_clean",
        message=shown(bad) if bad else f"{lines} lines break no rule" if lines else "no console said anything",
        figures={"lines": float(lines), "findings": float(len(bad))},
    )


def _plain(text: str) -> str:
    return _ESCAPES.sub("", text)


def _crashed(crashed: set[str], server: str, action: str) -> set[str]:
    """Return the servers whose next panic was asked for, after one more power action."""
    return crashed | {server} if action in {"crash", "NMI"} else crashed - {server}
