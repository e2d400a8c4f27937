"""Where everything is drawn: tiers in rows from the outside in, racks in a grid, what is beside the fabric below.

Pure geometry. A level of a fabric is *wired*, each link a straight line, where its lower end is a single row and the
links are few; else it is a *harness*: every upper router has a line of its own along each row of racks, and each link
is a dot where a ToR's line crosses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from vdc.graph.canvas import FACT, HEADING, PLAIN, Rect
from vdc.graph.picture import Item, Net, Picture, Rack
from vdc.graph.sizes import (
    COLLAPSED,
    GAP,
    HARNESS,
    MARGIN,
    NOTES,
    WIDE,
    WIRED,
    PodSize,
    RackSize,
    across,
    card_size,
    pod_size,
    pods_per_row,
    rack_size,
    rail_room,
    row_width,
    spread_between,
    unit_texts,
    wire_gap,
)


@dataclass(frozen=True, slots=True)
class Card:
    """A box for a device; a narrow `unit` of a rack has its texts in two columns."""

    item: Item
    rect: Rect
    left: tuple[str, ...]
    right: tuple[str, ...] = ()
    unit: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A box around others."""

    rect: Rect
    css: str
    title: str
    details: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A shared network."""

    net: Net
    x: float
    right: float
    y: float


@dataclass(frozen=True, slots=True)
class Level:
    """A harness: `upper` routers above rows of `lower` ones; each row has the y of its first line."""

    upper: tuple[str, ...]
    rows: tuple[tuple[float, tuple[str, ...]], ...]
    trunk: float
    thick: bool


@dataclass(slots=True)
class Layout:
    """Places by name."""

    width: float = 0.0
    height: float = 0.0
    cards: dict[str, Card] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    bars: dict[str, Bar] = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    racks: list[tuple[Rack, Rect]] = field(default_factory=list)
    beside: frozenset[str] = frozenset()
    notes: list[tuple[float, float, str]] = field(default_factory=list)
    """What is not standard about wires: where each text begins, and the text."""


def lay_out(picture: Picture) -> Layout:
    """Return where everything of a picture is drawn."""
    return _Builder(picture).build()


@dataclass(slots=True)
class _Builder:
    picture: Picture
    out: Layout = field(default_factory=Layout)
    y: float = MARGIN
    label: float = 0.0
    """How long the longest label of a wire is."""

    def build(self) -> Layout:
        picture = self.picture
        between = [wire for wire in picture.wires if not f"{wire.a} {wire.b}".count("net:")]
        self.label = max((FACT.width(text) for wire in between for text in wire.labels), default=0.0)
        rack = rack_size(picture)
        pods = [pod_size(pod, rack, len(picture.pods), self.label) for pod in picture.pods]
        above = picture.superspines or picture.borders
        spines = sum(len(pod.spines) for pod in picture.pods)
        per_row = pods_per_row(pods)
        wired = per_row == len(pods) and len(above) * spines <= WIRED
        inset = 0.0 if wired or per_row == len(pods) else len(above) * HARNESS + GAP
        self.out.width = self._width(pods, per_row, inset)
        self.y += 52
        self._outside()
        self._tier(picture.borders, before=self._internet())
        if picture.superspines:
            wires = len(picture.borders) * len(picture.superspines)
            self.y += wire_gap(wires, self.label) if picture.borders else 0
            self._tier(picture.superspines)
        if pods:
            self._grid(pods, per_row, wired=wired, upper=above, rack=rack, inset=inset)
        self._beside()
        self._notes()
        self.out.height = self.y + MARGIN
        return self.out

    def _width(self, pods: Sequence[PodSize], per_row: int, inset: float) -> float:
        picture = self.picture
        widths = [HEADING.width(picture.title), PLAIN.width(picture.subtitle), 600.0]
        widths += [row_width(tier) for tier in (picture.borders, picture.superspines, picture.clients)]
        widths.append(row_width(picture.beside))
        rows = [pods[at : at + per_row] for at in range(0, len(pods), per_row or 1)]
        inner = max([min(width, WIDE) for width in widths] + [inset + across(p.width for p in row) for row in rows])
        return inner + 2 * MARGIN

    def _internet(self) -> tuple[Item, ...]:
        return tuple(item for item in self.picture.clients if item.kind == "internet")

    def _outside(self) -> None:
        """Place the clients, and their networks under them."""
        nets = [net for net in self.picture.nets if net.outside]
        if not nets:
            return
        self._tier([item for item in self.picture.clients if item.kind == "client"])
        for net in nets:
            self.y += 34
            self.out.bars[net.name] = Bar(net, MARGIN, self.out.width - MARGIN, self.y)
        self.y += 20 + 13 * max(2, *(len(net.facts) for net in nets)) if self.picture.borders else 20

    def _tier(
        self, items: Sequence[Item], *, before: Sequence[Item] = (), within: tuple[float, float] | None = None
    ) -> None:
        """Place a row of cards, centred; more than fit make further rows."""
        every = (*before, *items)
        if not every:
            return
        left, right = within or (MARGIN, self.out.width - MARGIN)
        width, height = card_size(every)
        fit = max(1, int((right - left + GAP) // (width + GAP)))
        rows = math.ceil(len(every) / fit)
        fit = math.ceil(len(every) / rows)
        for start in range(0, len(every), fit):
            row = every[start : start + fit]
            spread = spread_between(fit, width, right - left - (width / 2 if rows > 1 else 0))
            x = (left + right - (fit * width + (fit - 1) * spread)) / 2
            if rows > 1:  # so that wires to the upper row pass between the cards of the lower one
                x += (width + spread) / (4 if start // fit % 2 else -4)
            for item in row:
                self._card(item, Rect(x, self.y, width, height))
                x += width + spread
            self.y += height + (GAP if start + fit < len(every) else 0)

    def _card(self, item: Item, rect: Rect) -> None:
        self.out.cards[item.name] = Card(item, rect, (item.name, *item.facts))

    def _grid(
        self,
        pods: Sequence[PodSize],
        per_row: int,
        *,
        wired: bool,
        upper: Sequence[Item],
        rack: RackSize,
        inset: float,
    ) -> None:
        thick = len(upper) > COLLAPSED
        lines = 1 if thick else len(upper)
        rows: list[tuple[float, tuple[str, ...]]] = []
        spines = sum(len(pod.pod.spines) for pod in pods)
        for start in range(0, len(pods), per_row):
            row = pods[start : start + per_row]
            if upper and wired:
                self.y += wire_gap(len(upper) * spines, self.label)
            elif upper:
                rows.append((self.y + GAP, tuple(spine.name for size in row for spine in size.pod.spines)))
                self.y += lines * HARNESS + 2 * GAP
            elif start:
                self.y += GAP
            left = max(MARGIN + inset, (self.out.width - across(size.width for size in row)) / 2)
            x, top = left, self.y
            for size in row:
                self._pod(size, x, top, rack)
                x += size.width + GAP
            self.y = top + max(size.height for size in row)
        if rows:
            self.out.levels.append(Level(tuple(item.name for item in upper), tuple(rows), MARGIN + inset - 8, thick))

    def _pod(self, size: PodSize, x: float, y: float, rack: RackSize) -> None:
        if size.pod.title:
            frame = Rect(x, y, size.width, size.height)
            self.out.frames.append(Frame(frame, "pod", size.pod.title, size.pod.title))
            y += 22
        self.y = y
        self._tier(size.pod.spines, within=(x + GAP / 2, x + size.width - GAP / 2))
        left = x + size.inset + (GAP if size.pod.title else 0)
        rows: list[tuple[float, tuple[str, ...]]] = []
        racks = size.pod.racks
        for start in range(0, len(racks), size.columns):
            row = racks[start : start + size.columns]
            if size.channel:
                rows.append((self.y + GAP, tuple(tor.name for each in row for tor in each.tors)))
            self.y += size.channel or size.top
            for at, each in enumerate(row):
                self._rack(each, left + at * (rack.width + GAP), self.y, rack)
            self.y += max(rack.height(each) for each in row)
        if rows and size.pod.spines:
            names = tuple(spine.name for spine in size.pod.spines)
            self.out.levels.append(Level(names, tuple(rows), left - 6, len(names) > COLLAPSED))

    def _rack(self, rack: Rack, x: float, y: float, size: RackSize) -> None:
        rect = Rect(x, y, size.width, size.height(rack))
        self.out.racks.append((rack, rect))
        self.out.frames.append(Frame(rect, "rack", rack.title, rack.details))
        count = len(rack.tors)
        width, height = size.tor
        spread = spread_between(count, width, size.width - 12) if count > 1 else 0
        left = x + (size.width - count * width - (count - 1) * spread) / 2
        for at, tor in enumerate(rack.tors):
            texts = (tor.short if size.short else tor.name, *tor.facts)
            self.out.cards[tor.name] = Card(tor, Rect(left + at * (width + spread), y + 20, width, height), texts)
        top = y + size.head(rack)
        side = rail_room(count)
        for server in rack.servers:
            unit = Rect(x + side, top, size.width - 2 * side, size.unit[1])
            first, second = unit_texts(server, short=size.short)
            self.out.cards[server.name] = Card(server, unit, first, second, unit=True)
            top += size.unit[1] + 3

    def _beside(self) -> None:
        """Place what is beside the fabric: devices in a row, and the flat networks under them."""
        nets = [net for net in self.picture.nets if not net.outside]
        if not nets and not self.picture.beside:
            return
        self.out.beside = frozenset(item.name for item in self.picture.beside)
        far = [wire for wire in self.picture.wires if wire.a in self.out.beside or wire.b in self.out.beside]
        self.y += 34 + 5 * len(far) if self.out.cards else 0
        self._tier(self.picture.beside)
        labels = max((len(wire.labels) for wire in self.picture.wires if wire.a.startswith("net:")), default=0)
        for at, net in enumerate(nets):
            self.y += 36 + (0 if at else 11 * labels)
            self.out.bars[net.name] = Bar(net, MARGIN, self.out.width - MARGIN, self.y)
        self.out.width += 6 * len(far) + GAP if far else 0

    def _notes(self) -> None:
        """Place what is not standard about wires, in columns below everything."""
        odd = [wire for wire in (*self.picture.wires, *self.picture.cables) if wire.odd]
        texts = [f"{wire.a} – {wire.b}: {wire.odd}".replace("net:", "") for wire in odd[:NOTES]]
        if len(odd) > NOTES:
            texts.append(f"… and {len(odd) - NOTES} more")
        if not texts:
            return
        step = max(map(FACT.width, texts)) + 2 * GAP
        columns = max(1, int((self.out.width - 2 * MARGIN) // step))
        self.y += 30
        for at, text in enumerate(texts):
            self.out.notes.append((MARGIN + at % columns * step, self.y + 14 * (at // columns), text))
        self.y += 14 * ((len(texts) - 1) // columns)
