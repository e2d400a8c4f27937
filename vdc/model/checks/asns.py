"""Rules of AS numbers: private, and each of one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from vdc.model.checks.base import Finding, Survey
from vdc.model.topology import Tier
from vdc.model.yamltree import Path

PRIVATE: Final = (range(64512, 65535), range(4200000000, 4294967295))
"""The AS numbers of two and of four bytes that are reserved for private use (RFC 6996)."""


def private(survey: Survey) -> Iterator[Finding]:
    """Every AS number is private."""
    for kind, asns in _planned(survey).items():
        if asns and not any(asns[0] in each and asns[-1] in each for each in PRIVATE):
            yield Finding(path=("asn", kind), message=_not_private(asns))
    for path, asn in _explicit(survey):
        if not any(asn in each for each in PRIVATE):
            yield Finding(path=path, message=_not_private(range(asn, asn + 1)))


def separate(survey: Survey) -> Iterator[Finding]:
    """No two kinds of device share a number."""
    given = survey.spec.asn.model_fields_set
    for (one, first), (other, second) in combinations(_planned(survey).items(), 2):
        if max(first.start, second.start) < min(first.stop, second.stop):
            here, there = ((other, second), (one, first))
            if other not in given and one in given:
                here, there = there, here
            message = f"{_show(here[1])} overlaps with the AS numbers of {there[0]}, {_show(there[1])}"
            yield Finding(path=("asn", here[0]), message=message, because=(("asn", there[0]),))


def own(survey: Survey) -> Iterator[Finding]:
    """A number given to one device is no other's; tiers that share a number may."""
    seen: dict[int, tuple[Path, str]] = {}
    planned = _planned(survey)
    for path, asn in _explicit(survey):
        kind = _kind(survey, path)
        other = next((name for name, asns in planned.items() if name != kind and asn in asns), None)
        if other is not None:
            message = f"{asn} is among the AS numbers of {other}, {_show(planned[other])}"
            yield Finding(path=path, message=message, because=(("asn", other),))
        elif asn in seen and (seen[asn][1] != kind or kind not in _SHARED):
            message = f"{asn} is the AS number of {seen[asn][0][1]} already"
            yield Finding(path=path, message=message, because=(seen[asn][0],))
        elif kind not in _SHARED and asn in planned.get(kind, range(0)):
            message = f"{asn} is among the AS numbers that are given out to every {kind}, {_show(planned[kind])}"
            yield Finding(path=path, message=message, because=(("asn", kind),))
        seen.setdefault(asn, (path, kind))


_SHARED: Final = ("border", "superspine", "spine")
"""Tiers whose routers may have one number together (RFC 7938, 5.2.1)."""


def whole_racks(survey: Survey) -> Iterator[Finding]:
    """Where a rack is one AS, no device of it has a number of its own."""
    if survey.spec.routing.rack != "ibgp":
        return
    for name, override in survey.spec.overrides.items():
        tor = survey.routers.get(name) is Tier.TOR
        if override.asn is not None and (tor or name in survey.servers):
            message = "with `routing.rack: ibgp` a rack has one AS number, which follows from `asn.tor`"
            yield Finding(path=("overrides", name, "asn"), message=message, because=(("routing", "rack"),))


def _explicit(survey: Survey) -> Iterator[tuple[Path, int]]:
    for name, override in survey.spec.overrides.items():
        if override.asn is not None:
            yield ("overrides", name, "asn"), override.asn
    for name, device in survey.spec.devices.items():
        if device.asn is not None:
            yield ("devices", name, "asn"), device.asn


def _kind(survey: Survey, path: Path) -> str:
    """Return which key of `asn` the numbers of a device would come from."""
    name = str(path[1])
    if path[0] == "devices":
        return "device"
    return str(survey.routers[name]) if name in survey.routers else "server"


def _planned(survey: Survey) -> Mapping[str, range]:
    """Return the numbers that devices of each kind have by themselves."""
    asn, fabric = survey.spec.asn, survey.fabric
    internal = survey.spec.routing.rack == "ibgp"
    tors = len(survey.racks) if internal else sum(rack.laid.tors for rack in survey.racks)
    routers = sum(device.kind == "router" for device in survey.spec.devices.values())
    counts = {
        "border": min(1, fabric.borders),
        "superspine": min(1, fabric.superspines),
        "spine": fabric.pods if fabric.spines else 0,
        "device": routers,
        "tor": tors,
        "server": 0 if internal else survey.server_numbers,
    }
    return {kind: range(getattr(asn, kind), getattr(asn, kind) + count) for kind, count in counts.items()}


def _not_private(asns: range) -> str:
    shown = " or ".join(map(_show, PRIVATE))
    return f"{_show(asns)} is not within the private AS numbers {shown} (RFC 6996)"


def _show(asns: range) -> str:
    return str(asns[0]) if len(asns) == 1 else f"{asns[0]}-{asns[-1]}"
