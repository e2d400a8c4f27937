"""Rules of the shape: what cannot be without something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vdc.model.checks.base import Finding, Survey
from vdc.model.spec import RackSpec, TopologySpec
from vdc.model.yamltree import Path

MOST_RACKS: Final = 10_000
MOST_SERVERS: Final = 200_000

_PLAIN: Final = ("count", "servers", "tors", "pod", "roles")
"""Keys of a rack that a sequence of racks has not."""


def size(spec: TopologySpec) -> Iterator[Finding]:
    """There are not more racks and servers than can be counted out."""
    racks = servers = 0
    for number, rack in enumerate(spec.racks):
        more_racks, more_servers = _counts(rack)
        racks, servers = racks + more_racks, servers + more_servers
        for what, count, most in (("racks", racks, MOST_RACKS), ("servers", servers, MOST_SERVERS)):
            if count > most:
                yield Finding(path=("racks", number), message=f"makes {count:,} {what}, and there can be {most:,}")
                return


def _counts(rack: RackSpec) -> tuple[int, int]:
    """Return how many racks an entry of the file means, and how many servers."""
    if rack.racks is None:
        return rack.count, rack.count * sum(rack.servers.values())
    inner = [_counts(each) for each in rack.racks]
    times = rack.repeat or 1
    return times * sum(racks for racks, _ in inner), times * sum(servers for _, servers in inner)


def something(survey: Survey) -> Iterator[Finding]:
    """There is something at all."""
    spec = survey.spec
    if not (spec.racks or spec.devices or spec.networks):
        path = ("racks",) if "racks" in spec.model_fields_set else ()
        yield Finding(path=path, message="there is nothing: a topology has racks, devices or networks", because=_THINGS)


_THINGS: Final[tuple[Path, ...]] = (("racks",), ("devices",), ("networks",))


def tiers(survey: Survey) -> Iterator[Finding]:
    """No tier lacks the next one."""
    fabric = survey.fabric
    tors = sum(rack.laid.tors for rack in survey.racks)
    if fabric.pods > 1 and not fabric.superspines:
        yield _fabric("pods", f"{fabric.pods} pods need super-spines to connect them", "superspines")
    if fabric.superspines and not fabric.spines:
        yield _fabric("superspines", "super-spines need spines below them", "spines")
    if tors > 1 and not (fabric.spines or fabric.superspines or fabric.borders):
        because = (("fabric", "tors"), ("fabric", "superspines"), ("fabric", "borders"), ("racks",))
        yield Finding(path=("fabric", "spines"), message=f"{tors} ToRs need a spine to connect them", because=because)
    if survey.racks and fabric.pods > len(survey.racks):
        message = f"there are {fabric.pods} pods, but only {len(survey.racks)} racks to be in them"
        yield Finding(path=("fabric", "pods"), message=message, because=(("racks",),))


def _fabric(key: str, message: str, other: str) -> Finding:
    return Finding(path=("fabric", key), message=message, because=(("fabric", other),))


def borders(survey: Survey) -> Iterator[Finding]:
    """What is outside is reached over a border."""
    spec = survey.spec
    if survey.fabric.borders:
        return
    needs = {
        ("external", "clients"): spec.external.clients > 0,
        ("operation", "clients"): spec.operation.clients > 0,
        ("internet", "nat"): spec.internet.nat,
        ("routing", "exposed"): spec.routing.exposed,
    }
    for path, needed in needs.items():
        if needed:
            yield Finding(path=path, message="needs a border (fabric.borders)", because=(("fabric", "borders"),))


def racks(survey: Survey) -> Iterator[Finding]:
    """A rack is one or a sequence of racks, is in a pod that there is, and has ToRs for its servers."""
    for number, rack in enumerate(survey.spec.racks):
        yield from _rack(rack, ("racks", number), survey)


def _rack(rack: RackSpec, path: Path, survey: Survey) -> Iterator[Finding]:
    given = rack.model_fields_set
    if rack.racks is None:
        if "repeat" in given:
            message = "repeats a sequence of `racks`; one rack is repeated by `count`"
            yield Finding(path=(*path, "repeat"), message=message, because=((*path, "racks"),))
        yield from _single(rack, path, survey)
        return
    for key in (key for key in _PLAIN if key in given):
        message = "says nothing of a sequence of `racks`; it belongs to the racks in it"
        yield Finding(path=(*path, key), message=message, because=((*path, "racks"),), at_key=True)
    for number, inner in enumerate(rack.racks):
        yield from _rack(inner, (*path, "racks", number), survey)


def _single(rack: RackSpec, path: Path, survey: Survey) -> Iterator[Finding]:
    pods = survey.fabric.pods
    tors = survey.fabric.tors if rack.tors is None else rack.tors
    if rack.pod is not None and rack.pod >= pods:
        there = "there is only pod 0" if pods == 1 else f"there are pods 0 to {pods - 1}"
        yield Finding(path=(*path, "pod"), message=f"no pod {rack.pod}; {there}", because=(("fabric", "pods"),))
    if any(rack.servers.values()) and not tors:
        message = "servers need a ToR in their rack"
        yield Finding(path=(*path, "servers"), message=message, because=((*path, "tors"), ("fabric", "tors")))
