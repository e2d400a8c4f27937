"""How long it takes to break a cable and to mend it: by a fault, and by the bare commands that do as much."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

from vdc.datacenter.api import DataCenter
from vdc.faults.base import Fault
from vdc.faults.links import LinkCut, LinkDisturbed
from vdc.model.disturbance import Disturbance
from vdc.shell import in_namespace, run
from vdc.wait import wait_for

TIMES: Final = 21
_SECONDS: Final = 20.0
_TABLE: Final = "netdev bench-loss"


class Struck(NamedTuple):
    """The median seconds in which something was broken, and mended; what proves it is not counted."""

    inject: float
    heal: float


class Compared(NamedTuple):
    """A fault in words, what it took, and what the bare commands for it took, if there are any."""

    what: str
    ours: Struck
    bare: Struck | None


def compared(dc: DataCenter) -> Iterator[Compared]:
    """Yield each kind of fault of a cable between two routers."""
    link = dc.topology.links[-1]
    ends = [(end.device, end.interface) for end in (link.a, link.b)]
    place = ends[0]

    def cut(state: str) -> None:
        run(["ip", "-n", dc.netns(place[0]), "link", "set", place[1], state], timeout=_SECONDS)

    def load(rules: Callable[[str], str]) -> None:
        for device, interface in ends:
            run(in_namespace(dc.netns(device), ["nft", "-f", "-"]), stdin=rules(interface), timeout=_SECONDS)

    yield Compared(
        "a cable cut", _timed(dc, LinkCut(*place)), _measured(lambda: cut("down"), lambda: cut("up"), lambda: None)
    )
    yield Compared(
        "all packets of a cable lost",
        _timed(dc, _both_ways(place, Disturbance(loss=1.0))),
        _measured(lambda: load(_loses), lambda: load(lambda _: f"delete table {_TABLE}\n"), lambda: None),
    )
    for what, disturbance in _RELAYED.items():
        yield Compared(what, _timed(dc, _both_ways(place, disturbance)), None)


_RELAYED: Final[Mapping[str, Disturbance]] = MappingProxyType(
    {"packets of a cable delayed": Disturbance(delay=0.1), "an MTU black hole": Disturbance(mtu=1000)}
)


def _both_ways(place: tuple[str, str], what: Disturbance) -> LinkDisturbed:
    return LinkDisturbed(*place, outgoing=what, incoming=what)


def _loses(interface: str) -> str:
    return f'table {_TABLE} {{ chain c {{ type filter hook egress device "{interface}" priority 0; drop; }}; }}\n'


def _timed(dc: DataCenter, fault: Fault) -> Struck:
    def settle() -> None:
        if isinstance(fault, LinkDisturbed):
            wire = dc.wire(fault.device, fault.interface)
            wait_for(
                lambda: wire.expect_restored(fault.key), what="nothing to be left", timeout=_SECONDS, interval=0.01
            )

    return _measured(lambda: fault.inject(dc), lambda: fault.heal(dc), settle)


def _measured(inject: Callable[[], object], heal: Callable[[], object], settle: Callable[[], object]) -> Struck:
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMES):
        for seconds, action in zip(took, (inject, heal), strict=True):
            begun = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - begun)
        settle()
    return Struck(*map(median, took))
