"""What hangs on which power feed, and in which order a site is switched on. Pure."""

from __future__ import annotations

from enum import StrEnum

from vdc.faults.selectors import Rack
from vdc.model.topology import Tier, Topology


class Feed(StrEnum):
    """A power feed of a rack: each rack has two, with a power distribution unit (PDU) of its own."""

    A = "a"
    B = "b"


def fed_by(rack: Rack, feed: Feed) -> tuple[str, ...]:
    """Return the devices of a rack that hang on a feed, ToRs first: the first ToR and the first server on A, the
    second ones on B, and so on in turn.
    """
    place = list(Feed).index(feed)
    return (*rack.routers[place::2], *rack.servers[place::2])


def all_devices(topology: Topology) -> tuple[str, ...]:
    """Return every router from the outside in, and then every server: so that who starts finds the way out there."""
    tiers = list(Tier)
    routers = sorted(topology.routers, key=lambda router: tiers.index(router.tier))
    return (*(router.name for router in routers), *(server.name for server in topology.servers))
