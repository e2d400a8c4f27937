"""How fast a dead neighbour is noticed. BFD as in RFC 5880, the hold time as in RFC 4271, 4.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from vdc.model.topology import Bfd, Routing, Topology

_QUICKEST: Final = 200
"""Milliseconds between BFD packets where neither size nor slowness asks for more."""

_PACKETS_PER_SECOND: Final = 2500
"""So many BFD packets may all routers of a data centre send together: they took a fifth of a CPU."""

_RESTART: Final = 120
"""Seconds that a BIRD may take to be back with all its sessions on a host of ordinary speed."""

_LONGEST_RESTART: Final = 4095  # RFC 4724, 3: it has 12 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """The timers of a session: BFD interval in milliseconds (0: no BFD), hold and keepalive time in seconds.

    `restart` is for how many seconds routes are kept for a neighbour that restarts (RFC 4724), 0 for not at all.
    With `bfd_graceful` a failure of BFD begins that time, else it ends the session (RFC 5882, 4.3).
    """

    hold: int
    bfd_interval: int = 0
    bfd_multiplier: int = 5
    restart: int = 0
    bfd_graceful: bool = False

    @property
    def keepalive(self) -> int:
        """A third of the hold time (RFC 4271, 10)."""
        return self.hold // 3


def between_routers(routing: Routing, links: int) -> Timers:
    """Return the timers between routers, which are processes of the host and answer at once however slow guests are.

    The default BFD interval grows with the number of links, each of which has two ends that send.
    A link that is dead takes the carrier, so that a silent neighbour with a carrier is one whose BIRD restarts.
    """
    default = max(_QUICKEST, ceil(2000 * links / _PACKETS_PER_SECOND))
    return _timers(routing, routing.bfd, routing.hold, default, restart=_RESTART, graceful=True)


def to_servers(routing: Routing, slowness: float) -> Timers:
    """Return the timers between a ToR and a server: on a slow host a guest that answers late is not dead.

    A dead path is noticed, by default, in less time than an etcd member takes to give up its leader. A guest may fall
    silent with its carrier up, which BFD then takes for what it is.
    """
    hold = routing.server_hold or max(9, round(30 * slowness))
    default = max(_QUICKEST, round(600 * slowness))
    restart = round(_RESTART * max(1.0, slowness))
    return _timers(routing, routing.server_bfd, hold, default, restart=restart, graceful=False)


def described(topology: Topology, slowness: float) -> Mapping[str, str]:
    """Return which timers towards servers are not what they are on a fast host, for the report."""
    if not topology.servers:
        return {}
    now, fast = to_servers(topology.routing, slowness), to_servers(topology.routing, 0.0)
    told = {"BGP hold towards servers": (f"{now.hold} s", f"{fast.hold} s")}
    told["BFD towards servers"] = (_bfd(now), _bfd(fast))
    return {name: f"{value} (default {default})" for name, (value, default) in told.items() if value != default}


def _bfd(timers: Timers) -> str:
    return f"{timers.bfd_interval} ms, {timers.bfd_multiplier} times"


def _timers(routing: Routing, bfd: Bfd | None, hold: int, default: int, *, restart: int, graceful: bool) -> Timers:
    interval = 0 if bfd is None else default if bfd.interval is None else max(1, round(1000 * bfd.interval))
    return Timers(
        hold=hold,
        bfd_interval=interval,
        bfd_multiplier=bfd.multiplier if bfd else 0,
        restart=min(restart, _LONGEST_RESTART) if routing.graceful_restart else 0,
        bfd_graceful=graceful and routing.graceful_restart,
    )
