"""Rules of routing: timers that the protocols allow, and what is announced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from vdc.model.checks.base import Finding, Survey
from vdc.model.checks.pools import pool, sections
from vdc.model.spec import EXPOSED
from vdc.model.yamltree import Path

_LEAST_HOLD: Final = 3.0
_MOST_HOLD: Final = 65535.0
"""Seconds (RFC 4271, 4.2)."""

_LEAST_INTERVAL: Final = 0.01
"""Seconds: BIRD counts BFD intervals in milliseconds; below ten it is late by its own timers."""

_EXPOSED: Final[tuple[Path, ...]] = tuple((key, name) for key in ("pools", "pools6") for name in EXPOSED)


def timers(survey: Survey) -> Iterator[Finding]:
    """Hold times are whole seconds, at least three; BFD intervals are not too short."""
    routing = survey.spec.routing
    for key, hold in (("hold", routing.hold), ("server_hold", routing.server_hold)):
        if hold is not None and hold < _LEAST_HOLD:
            yield Finding(path=("routing", key), message="must be at least 3s (RFC 4271, 4.2)")
        elif hold is not None and hold > _MOST_HOLD:
            yield Finding(path=("routing", key), message="must be at most 65535s (RFC 4271, 4.2)")
        elif hold is not None and not hold.is_integer():
            yield Finding(path=("routing", key), message="must be whole seconds (RFC 4271, 4.2)")
    for key, bfd in (("bfd", routing.bfd), ("server_bfd", routing.server_bfd)):
        if bfd.interval is not None and bfd.interval < _LEAST_INTERVAL:
            yield Finding(path=("routing", key, "interval"), message="must be at least 10ms")


def family(survey: Survey) -> Iterator[Finding]:
    """What needs IPv4 has it."""
    spec = survey.spec
    if spec.internet.nat and spec.family == "ipv6":
        message = "needs IPv4, and `family` is ipv6"
        yield Finding(path=("internet", "nat"), message=message, because=(("family",),))
    if spec.internet.namespace is not None and not spec.internet.nat:
        message = "says how the internet is reached, which `internet.nat` does not ask for"
        yield Finding(path=("internet", "namespace"), message=message, because=(("internet", "nat"),), at_key=True)


def exposed(survey: Survey) -> Iterator[Finding]:
    """Borders that learn exposed pools only have some to learn."""
    if not survey.spec.routing.exposed:
        return
    pools = chain.from_iterable((pool(each, name) for name in EXPOSED) for _, each in sections(survey))
    if all(each is None for each in pools):
        message = f"needs a pool of those that may be exposed: {', '.join(EXPOSED)}"
        yield Finding(path=("routing", "exposed"), message=message, because=(*_EXPOSED, ("pools",), ("pools6",)))


def announced(survey: Survey) -> Iterator[Finding]:
    """A pool from which servers announce is there, in a family that is routed; none is named twice."""
    for path, server in survey.hardware:
        seen: set[str] = set()
        for number, name in enumerate(server.announces or ()):
            place = (*path, "announces", number)
            if all(pool(each, name) is None for _, each in sections(survey)):
                keys = " or ".join(f"{key}.{name}" for key, _ in sections(survey))
                because = (("pools", name), ("pools6", name), ("pools",), ("pools6",), ("family",))
                yield Finding(path=place, message=f"there is no pool to take it from; give {keys}", because=because)
            if name in seen:
                yield Finding(path=place, message=f'"{name}" is there already')
            seen.add(name)
