"""What consoles say while no scenario's body runs: in set-up, between bodies, at the end. None of it is lost."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.history import Event, read
from vdc.observe.consoles import Finding, findings
from vdc.observe.domain_events import listening
from vdc.observe.load import sampling, starved
from vdc.observe.logs import Logs
from vdc.observe.packets import capturing
from vdc.pytest_plugin.watching import GUEST_STARVED

_SHOWN: Final = 5


@contextmanager
def witnessed(dc: DataCenter) -> Iterator[None]:
    """Keep packets, and write this host's load and what the hypervisor says to the history, while the body runs."""
    # in simulated time this host's load is nothing
    with sampling(dc.recorder.path) if dc.slowness else nullcontext(), capturing(dc), listening(dc):
        yield


class Vigil:
    """Watches the consoles of a data centre from where its `logs` are read up to."""

    def __init__(self, dc: DataCenter, logs: Logs) -> None:
        self.dc = dc
        self.logs = logs
        self._since = time.monotonic()
        self._allowed: Collection[str] = ()
        self._found: list[Finding] = []

    def look(self) -> None:
        """Read what was said since somebody looked, and keep what breaks a rule.

        What the last scenario breaks on purpose it may break until then, and no longer.
        """
        said, self.logs = self.logs.read()
        since, self._since = self._since, time.monotonic()
        if any(event.data.get("rule") for event in said if event.kind == "console"):
            self._judge([event for event in said if event.kind == "console"], since)
        self._allowed = ()

    def overlook(self) -> None:
        """Read what was said since somebody looked, and judge none of it: a person was inside."""
        _, self.logs = self.logs.read()
        self._since = time.monotonic()

    def attended(self, logs: Logs, allowed: Collection[str]) -> None:
        """Hear that a body's own watch has read so far, and which rules its scenario breaks on purpose."""
        self.logs, self._allowed, self._since = logs, allowed, time.monotonic()

    def expect_clean(self, when: str) -> None:
        """Pass if nothing was said against the rules that nobody has heard of yet. Raises ClusterError."""
        self.look()
        found, self._found = self._found, []
        if found:
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            told = "; ".join(map(str, found[:_SHOWN]))
            raise ClusterError(f"consoles broke rules {when}: {told}{more}")

    def _judge(self, said: list[Event], since: float) -> None:
        # who asked for a panic, and how the host was, is in the history
        events = [event for event in read(self.dc.recorder.path) if event.kind in {"power", "load"}]
        sampled = any(event.kind == "load" and event.time >= since for event in events)
        # while servers come up nobody samples the load: what only a starved guest says proves nothing then
        excused = GUEST_STARVED if not sampled or starved(events, start=since, end=self._since) else frozenset()
        powers = [event for event in events if event.kind == "power"]
        self._found += [
            finding for finding in findings([*powers, *said]) if finding.rule not in {*self._allowed, *excused}
        ]
