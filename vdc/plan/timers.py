"""How fast a dead neighbour is noticed. BFD as in RFC 5880, the hold time as in RFC 4271, 4.4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BFD_MULTIPLIER: Final = 5
"""So many BFD packets may be lost in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The timers of a session: BFD interval in milliseconds, hold and keepalive time in seconds."""

    bfd_interval: int
    hold: int

    @property
    def keepalive(self) -> int:
        """A third of the hold time (RFC 4271, 10)."""
        return self.hold // 3


BETWEEN_ROUTERS: Final = Timers(bfd_interval=200, hold=9)
"""Routers are processes of the host, and answer at once however slow guests are."""


def to_servers(slowness: float) -> Timers:
    """Return the timers between a ToR and a server: on a slow host a guest that answers late is not dead.

    A dead path is noticed, with `BFD_MULTIPLIER`, in less time than an etcd member takes to give up its leader.
    """
    return Timers(bfd_interval=max(200, round(600 * slowness)), hold=max(9, round(30 * slowness)))
