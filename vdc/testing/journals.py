"""What servers in memory tell of their boots, and what the harness and the hypervisor note of their power."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from vdc.rolling.boots import ASK, JOURNAL_BEGINS, JOURNAL_ENDS, RECOVERED, UNIT_STARTED, End
from vdc.rolling.history import LEAVING
from vdc.shell import Completed
from vdc.testing.lies import Lie

_TARGETS: Final = {End.RESTART: "reboot.target", End.POWER_OFF: "poweroff.target"}


class Journals:
    """The journals of all servers, whose boots have the names that `boot` gives them.

    `heard` hears what is noted outside of servers: a kind of event, who says so, and what.
    """

    def __init__(self, lies: Callable[[], frozenset[Lie]], boot: Callable[[str], str]) -> None:
        self._lies = lies
        self._boot = boot
        self._lines: dict[str, list[str]] = defaultdict(list)
        self._cut: dict[str, bool] = {}
        self.ended: Callable[[str], object] = str
        self.heard: Callable[[str, str, dict[str, str]], object] = lambda *_: None

    def act(self, server: str, action: str) -> None:
        """Note what the harness does to a server, and how its boot ends by it."""
        self.heard("power", "harness", {"server": server, "action": action})
        if action == "on":
            self.heard("machine", server, {"name": "started", "text": "booted"})
        if action.startswith("reimage"):
            self.forget(server)
        if action in LEAVING:
            end, said = LEAVING[action]
            what, _, detail = min(said).partition(" ")
            self.heard("machine", server, {"name": what, "text": detail})
            self.ends(server, end)

    def cut(self, server: str) -> None:
        """Note that QEMU ended while the guest ran."""
        self.heard("machine", server, {"name": "stopped", "text": "failed"})
        self.ends(server, End.CUT)

    def ends(self, server: str, end: End) -> None:
        """End the boot of a server; it says so itself, unless it is cut off."""
        self._know(server)
        if Lie.CAUSE_WRONG in self._lies():
            end = End.RESTART if end is End.CUT else End.CUT
        if end is not End.CUT:
            self._say(server, UNIT_STARTED, UNIT=_TARGETS[end])
            self._say(server, JOURNAL_ENDS)
        self._cut[server] = end is End.CUT
        self.ended(server)

    def forget(self, server: str) -> None:
        """Have an empty journal: the disk is new."""
        self._lines[server].clear()
        self._cut.pop(server, None)

    def begins(self, server: str) -> None:
        """Begin the next boot of a server."""
        self._say(server, JOURNAL_BEGINS)

    def run(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Answer what a journal is asked."""
        self._know(server)
        told = "\n".join(self._lines[server]) if argv == ASK else ""
        return Completed(argv=argv, status=0, stdout=told, stderr="")

    def dmesg(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Say what the kernel has said of its root disk."""
        return Completed(argv=argv, status=0, stdout=RECOVERED if self._cut.get(server) else "", stderr="")

    def _know(self, server: str) -> None:
        if not self._lines[server]:
            self.begins(server)

    def _say(self, server: str, message: str, **more: str) -> None:
        entry = {"_BOOT_ID": self._boot(server), "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)), **more}
        self._lines[server].append(json.dumps({**entry, "MESSAGE_ID": message}))
