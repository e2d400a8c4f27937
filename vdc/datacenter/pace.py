"""How long things may take on this host: ways to scale a duration by its measured slowness.

A slowness of 0 is simulated time (`vdc.testing`): a fact that does not hold at the first look never will.
"""

from __future__ import annotations

from vdc.datacenter.api import DataCenter

_FLOOR = 0.25
"""However fast the host, other work on it may stop us for a while: no deadline shrinks below this share."""


def deadline(dc: DataCenter, seconds: float) -> float:
    """Return how long to wait for a fact that takes at most `seconds` where the slowness is 1.0."""
    return 0.0 if dc.slowness == 0 else seconds * max(_FLOOR, dc.slowness)


def budget(dc: DataCenter, seconds: float) -> float:
    """Return the outage that `seconds` allow on this host: more on a slow host, never less on a fast one.

    A cluster's own timers (heartbeats, elections) and BFD towards guests grow with the slowness in the same
    way.
    """
    return seconds * max(1.0, dc.slowness)


def lasting(dc: DataCenter, seconds: float) -> float:
    """Return how long to look out for what must not happen: as long on every host, not at all in simulated time."""
    return seconds if dc.slowness else 0.0
