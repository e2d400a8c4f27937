"""How much room the parts of a picture need: cards, racks, pods, and what is between them. In pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from vdc.graph.canvas import FACT, NAME
from vdc.graph.picture import Item, Picture, Pod, Rack

MARGIN: Final = 24
ROW: Final = 12
"""From one line of text to the next."""
GAP: Final = 14
"""Between things beside each other."""
RAIL: Final = 4
HARNESS: Final = 5
"""Between two lines of a harness."""
WIRED: Final = 120
"""The most links that are drawn as straight lines between two tiers."""
COLLAPSED: Final = 24
"""From so many upper routers on, a harness is a single thick line."""
NOTES: Final = 40
"""The most wires of which it is written out what is not standard."""
WIDE: Final = 1500
"""As wide as a row becomes before there is a second one."""


@dataclass(frozen=True, slots=True)
class RackSize:
    """All racks of a picture are as wide as the widest."""

    width: float
    tor: tuple[float, float]
    unit: tuple[float, float]
    tors: int
    short: bool

    def height(self, rack: Rack) -> float:
        """Return how high a rack is."""
        return self.head(rack) + len(rack.servers) * (self.unit[1] + 3) + 5

    def head(self, rack: Rack) -> float:
        """Return how far below its upper edge the first server of a rack is."""
        rails = 8 + 3 * len(rack.tors) if rack.tors and rack.servers else 4
        return 20 + (self.tor[1] if rack.tors else 0) + rails


@dataclass(frozen=True, slots=True)
class PodSize:
    """A pod with its racks in so many columns; they begin `inset` from its left, which leaves room for a trunk."""

    pod: Pod
    columns: int
    width: float
    height: float
    wired: bool
    inset: float
    top: float
    """From its upper edge to its racks, or to the channel above them."""
    channel: float


def card_size(items: Iterable[Item]) -> tuple[float, float]:
    """Return how wide and how high the cards of a tier are."""
    every = tuple(items)
    width = max(
        max(NAME.width(item.name), *(FACT.width(fact) for fact in item.facts), 0.0)
        if item.facts
        else NAME.width(item.name)
        for item in every
    )
    return width + 16, 20 + ROW * max(len(item.facts) for item in every)


def row_width(items: Sequence[Item]) -> float:
    """Return how wide a row of cards is at least."""
    return len(items) * (card_size(items)[0] + GAP) if items else 0.0


def across(widths: Iterable[float]) -> float:
    """Return how wide things beside each other are together."""
    every = tuple(widths)
    return sum(every) + GAP * (len(every) - 1)


def spread_between(count: int, width: float, room: float) -> float:
    """Return the space between cards of a row: more where there is plenty, but not without measure."""
    return max(GAP, min(2 * width, (room - count * width) / count)) if count > 1 else GAP


def rail_room(tors: int) -> float:
    """Return what the cables of so many ToRs need at each side of a rack."""
    return 8 + RAIL * math.ceil(tors / 2) if tors else 8


def unit_texts(server: Item, *, short: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts of a unit, at its left and at its right."""
    name = server.short if short or server.count > 1 else server.name
    left = tuple(text for text in (name, server.asn) if text)
    return left, tuple(text for text in (*server.addresses, server.hardware) if text)


def rack_size(picture: Picture) -> RackSize:
    """Return the size of the racks of a picture, with short names where there are many."""
    racks = tuple(picture.racks)
    if not racks:
        return RackSize(0, (0, 0), (0, 0), 0, short=False)
    short = len(racks) > 8 or any(item.count > 1 for rack in racks for item in rack.servers)
    tors = [tor for rack in racks for tor in rack.tors]
    most = max(len(rack.tors) for rack in racks)
    named = [Item(name=tor.short, short="", kind="tor", asn=tor.asn, addresses=tor.addresses) for tor in tors]
    tor = card_size(named if short else tors) if tors else (0.0, 0.0)
    units = [unit_texts(server, short=short) for rack in racks for server in rack.servers]
    unit = (max(map(_unit_width, units), default=0.0), _unit_height(units))
    width = max(most * tor[0] + (most - 1) * 8 + 12, unit[0] + 2 * rail_room(most), 90.0)
    return RackSize(width, tor, unit, most, short)


def _unit_width(columns: tuple[tuple[str, ...], tuple[str, ...]]) -> float:
    rows = zip_longest(*columns, fillvalue="")
    return 24 + max(
        (NAME if at == 0 else FACT).width(left) + FACT.width(right) + 6 for at, (left, right) in enumerate(rows)
    )


def _unit_height(units: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> float:
    return 8 + ROW * max((max(map(len, columns)) for columns in units), default=1)


def pod_size(pod: Pod, rack: RackSize, pods: int, label: float) -> PodSize:
    """Return the size of one of so many `pods`, in which no label of a wire is longer than `label`."""
    count = len(pod.racks)
    step = rack.width + GAP
    heights = [rack.height(each) for each in pod.racks]
    area = sum(step * (height + 60) for height in heights)
    room = max(WIDE if pods == 1 else WIDE / min(pods, 3), math.sqrt(area * 1.9))
    rows = max(1, math.ceil(count * step / room))
    columns = max(1, math.ceil(count / rows))
    links = len(pod.spines) * sum(len(each.tors) for each in pod.racks)
    wired = rows == 1 and links <= WIRED
    lines = 1 if len(pod.spines) > COLLAPSED else len(pod.spines)
    channel = 0.0 if wired or not pod.spines else lines * HARNESS + 2 * GAP
    inset = lines * HARNESS + GAP if rows > 1 and channel else 0.0
    frame = 2 * GAP if pod.title else 0
    spines = row_width(pod.spines)
    inner = max(columns * step - GAP + inset, min(spines, max(room, columns * step)))
    fit = max(1, int((inner + GAP) // (card_size(pod.spines)[0] + GAP))) if pod.spines else 1
    high = math.ceil(len(pod.spines) / fit) * (card_size(pod.spines)[1] + GAP) - GAP if pod.spines else 0
    top = (wire_gap(links, label) if pod.spines else GAP) if not channel else 0.0
    grid = sum((channel or top) + max(heights[start : start + columns]) for start in range(0, count, columns))
    height = (22 + GAP if pod.title else 0) + high + grid
    return PodSize(pod, columns, inner + frame, height, wired, inset, top, channel)


def pods_per_row(pods: Sequence[PodSize]) -> int:
    """Return how many pods stand beside each other."""
    if not pods:
        return 0
    widest = max(size.width for size in pods) + GAP
    area = sum(size.width * (size.height + 60) for size in pods)
    room = max(WIDE * 1.3, math.sqrt(area * 2))
    rows = math.ceil(len(pods) * widest / room)
    return math.ceil(len(pods) / rows)


def wire_gap(wires: int, label: float) -> float:
    """Return how high the space between two tiers is that so many straight lines with labels cross."""
    return max(64.0, min(180.0, 60 + 1.2 * label + 2 * wires)) if wires > 2 or label > 100 else 64 + label / 4
