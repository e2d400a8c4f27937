"""Wires of an SVG: straight lines between tiers with their prefixes on them, harnesses, rails, and ways around."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from vdc.graph.canvas import FACT, Canvas, Point, Rect
from vdc.graph.labels import Labels, Segment
from vdc.graph.layout import Layout, Level
from vdc.graph.picture import Picture, Rack, Wire
from vdc.graph.sizes import HARNESS, MARGIN, RAIL

_LABELLED: Final = 48
"""The most labels between two tiers: of more, each line tells its addresses when pointed at."""
_DOTS: Final = 6000
"""The most links of harnesses that have a dot each."""
_UPPER: Final = frozenset({"border", "superspine", "spine"})


def draw_wires(picture: Picture, layout: Layout, canvas: Canvas) -> None:
    """Draw every wire of a picture."""
    harnessed = _harnessed(layout)
    dots = [wire for wire in picture.wires if (wire.a, wire.b) in harnessed]
    others = [wire for wire in picture.wires if (wire.a, wire.b) not in harnessed]
    carded = [wire for wire in others if wire.a in layout.cards and wire.b in layout.cards]
    straight = [wire for wire in carded if layout.beside.isdisjoint((wire.a, wire.b))]
    around = [wire for wire in carded if not layout.beside.isdisjoint((wire.a, wire.b))]
    around += [turned for wire in others if (turned := _to_bar(wire, layout, canvas)) is not None]
    for level in layout.levels:
        _harness(level, layout, canvas)
    _dots(dots, harnessed, layout, canvas)
    _straight(straight, layout, canvas)
    for lane, wire in enumerate(around):
        _around(wire, lane, layout, canvas)
    cables = {(wire.a, wire.b): wire for wire in picture.cables}
    for rack, rect in layout.racks:
        _rails(rack, rect, cables, layout, canvas)


def _harnessed(layout: Layout) -> Mapping[tuple[str, str], tuple[Level, float]]:
    """Return for each pair of routers that a harness joins which one, and the y of the first line of its row."""
    return {
        (upper, lower): (level, y)
        for level in layout.levels
        for y, names in level.rows
        for upper in level.upper
        for lower in names
    }


def _straight(wires: Sequence[Wire], layout: Layout, canvas: Canvas) -> None:
    """Draw lines from card to card, their ends spread along the edges in the order of where they lead."""
    lines = _ports(wires, layout)
    for wire, (start, end) in lines:
        upper = layout.cards[wire.a].item.kind
        css = "wire odd" if wire.odd else f"wire of-{upper}" if upper in _UPPER else "wire"
        canvas.line("wires", (start, end), css, details=wire.details)
    labels = Labels(
        lines=[(start, end) for _, (start, end) in lines],
        taken=[card.rect for card in layout.cards.values()]
        + [frame.rect for frame in layout.frames if frame.css == "rack"],
    )
    crowd: Counter[tuple[str, str]] = Counter()
    for wire in wires:
        crowd[_tiers(wire, layout)] += max(1, len(wire.labels))
    for wire, line in sorted(lines, key=lambda each: (not each[0].odd, math.dist(*each[1]))):
        if wire.odd or crowd[_tiers(wire, layout)] <= _LABELLED:
            labels.write(canvas, line, wire)


def _tiers(wire: Wire, layout: Layout) -> tuple[str, str]:
    return layout.cards[wire.a].item.kind, layout.cards[wire.b].item.kind


def _ports(wires: Sequence[Wire], layout: Layout) -> list[tuple[Wire, Segment]]:
    """Return for each wire where its line begins and ends."""
    at: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for number, wire in enumerate(wires):
        for near, far in ((wire.a, wire.b), (wire.b, wire.a)):
            side = _side(layout.cards[near].rect, layout.cards[far].rect)
            at.setdefault((near, side), []).append((layout.cards[far].rect.middle[0], number))
    points: dict[tuple[str, int], Point] = {}
    for (name, side), ends in at.items():
        rect = layout.cards[name].rect
        for place, (_, number) in enumerate(sorted(ends)):
            points[name, number] = _port(rect, side, (place + 1) / (len(ends) + 1))
    return [(wire, (points[wire.a, number], points[wire.b, number])) for number, wire in enumerate(wires)]


def _side(near: Rect, far: Rect) -> str:
    if far.y >= near.bottom:
        return "below"
    if far.bottom <= near.y:
        return "above"
    return "right" if far.x > near.x else "left"


def _port(rect: Rect, side: str, share: float) -> Point:
    if side in ("left", "right"):
        return (rect.x if side == "left" else rect.right, rect.y + rect.height * share)
    inner = rect.width * 0.84
    return (rect.x + rect.width * 0.08 + inner * share, rect.bottom if side == "below" else rect.y)


def _to_bar(wire: Wire, layout: Layout, canvas: Canvas) -> Wire | None:
    """Draw a line from a network straight to a card above or below it, or return it, the network last, to go around."""
    net, name = (wire.a, wire.b) if wire.a in layout.bars else (wire.b, wire.a)
    if net not in layout.bars or name not in layout.cards:
        return None
    bar, card = layout.bars[net], layout.cards[name]
    if (name in layout.beside) == bar.net.outside:
        return replace(wire, a=name, b=net)
    bars = [each for each in layout.bars.values() if each.net.outside == bar.net.outside]
    share = (bars.index(bar) + 1) / (len(bars) + 1)
    x = min(max(card.rect.x + card.rect.width * share, bar.x + 8), bar.right - 8)
    edge = card.rect.bottom if bar.y > card.rect.y else card.rect.y
    inside = min(max(x, card.rect.x + 6), card.rect.right - 6)
    canvas.line("wires", ((inside, edge), (x, bar.y)), "wire odd" if wire.odd else "wire", details=wire.details)
    canvas.dot("rails", (x, bar.y), "knot odd" if wire.odd else "knot", radius=4, details=wire.details)
    if bars.index(bar) == len(bars) - 1 and x == inside and abs(bar.y - edge) >= 30:
        _beside_line(canvas, (inside, edge), (x, bar.y), wire)
    return None


def _beside_line(canvas: Canvas, near: Point, far: Point, wire: Wire) -> None:
    """Write addresses to the right of an upright line, next to the card."""
    step = 11 if far[1] > near[1] else -11
    for at, label in enumerate(wire.labels if step > 0 else wire.labels[::-1]):
        canvas.text("labels", (near[0] + 5, near[1] + step * (at + 1) + (0 if step > 0 else 8)), label, FACT, css="dim")


def _harness(level: Level, layout: Layout, canvas: Canvas) -> None:
    """Draw the line of each upper router along all rows, and the trunk that joins these."""
    last = level.rows[-1][0]
    for number, name in enumerate(level.upper):
        card = layout.cards[name]
        at = 0 if level.thick else number
        css = "bus thick" if level.thick else f"bus of-{card.item.kind}"
        trunk = level.trunk - at * HARNESS
        first = level.rows[0][0] + at * HARNESS
        canvas.line("wires", ((card.rect.middle[0], card.rect.bottom), (card.rect.middle[0], first)), css)
        canvas.dot("rails", (card.rect.middle[0], first), f"joint of-{card.item.kind}")
        if level.thick and number:
            continue
        for y, names in level.rows:
            xs = [layout.cards[lower].rect.middle[0] for lower in names]
            left = trunk if len(level.rows) > 1 else min(xs, default=trunk)
            uppers = [card.rect.middle[0]] if y == level.rows[0][0] else []
            if level.thick and uppers:
                uppers = [layout.cards[each].rect.middle[0] for each in level.upper]
            height = y + at * HARNESS
            span = (min([left, *uppers]), max([*xs, *uppers], default=left))
            canvas.line("wires", ((span[0], height), (span[1], height)), css, details=f"links of {name}")
        if len(level.rows) > 1:
            canvas.line("wires", ((trunk, first), (trunk, last + at * HARNESS)), css, details=f"links of {name}")


def _dots(
    wires: Sequence[Wire], harnessed: Mapping[tuple[str, str], tuple[Level, float]], layout: Layout, canvas: Canvas
) -> None:
    """Draw each link of a harness: a dot where the line of its lower router crosses that of its upper one."""
    heights: dict[str, float] = {}
    known: dict[str, list[str]] = {}
    for wire in wires:
        level, y = harnessed[wire.a, wire.b]
        height = y + (0 if level.thick else level.upper.index(wire.a) * HARNESS)
        heights[wire.b] = min(heights.get(wire.b, height), height)
        known.setdefault(wire.b, []).append(wire.details)
        if (len(wires) <= _DOTS and not level.thick) or wire.odd:
            x = layout.cards[wire.b].rect.middle[0]
            kind = f"joint of-{layout.cards[wire.a].item.kind}"
            canvas.dot(
                "rails",
                (x, height),
                "joint odd" if wire.odd else kind,
                radius=3 if wire.odd else 1.7,
                details="\n".join((wire.details, wire.odd)).strip(),
            )
    for lower, height in heights.items():
        rect = layout.cards[lower].rect
        canvas.line(
            "rails", ((rect.middle[0], height), (rect.middle[0], rect.y)), "wire", details="\n\n".join(known[lower][:8])
        )


def _around(wire: Wire, lane: int, layout: Layout, canvas: Canvas) -> None:
    """Draw a wire between a device beside the fabric and one in it: up, by the right margin, and in from the right."""
    near, far = (wire.a, wire.b) if wire.a in layout.beside else (wire.b, wire.a)
    if near not in layout.cards or (far not in layout.cards and far not in layout.bars):
        return
    card = layout.cards[near]
    x = layout.width - MARGIN / 2 - 6 * lane - 4
    y = card.rect.y - 12 - 5 * lane
    start = (card.rect.x + card.rect.width * (lane % 7 + 1) / 8, card.rect.y)
    if far in layout.bars:
        end = (layout.bars[far].right, layout.bars[far].y)
    else:
        rect = layout.cards[far].rect
        end = (rect.right, rect.y + rect.height * (lane % 5 + 1) / 6)
    points = (start, (start[0], y), (x, y), (x, end[1]), end)
    canvas.line("wires", points, "wire odd" if wire.odd else "wire of-router dash", details=wire.details)


def _rails(rack: Rack, rect: Rect, cables: Mapping[tuple[str, str], Wire], layout: Layout, canvas: Canvas) -> None:
    """Draw the cables of a rack: from each ToR a line down one side, with a branch to each server."""
    for number, tor in enumerate(rack.tors):
        wired = [layout.cards[server.name] for server in rack.servers if (tor.name, server.name) in cables]
        if not wired:
            continue
        card = layout.cards[tor.name].rect
        left, depth = number % 2 == 0, number // 2
        x = rect.x + 5 + RAIL * depth if left else rect.right - 5 - RAIL * depth
        start = card.x + 10 if left else card.right - 10
        turn = card.bottom + 5 + 3 * number
        last = wired[-1].rect.middle[1] + _branch(depth)
        canvas.line(
            "rails", ((start, card.bottom), (start, turn), (x, turn), (x, last)), "rail of-tor", details=tor.name
        )
        for unit in wired:
            y = unit.rect.middle[1] + _branch(depth)
            wire = cables[tor.name, unit.item.name]
            edge = unit.rect.x if left else unit.rect.right
            canvas.line("rails", ((x, y), (edge, y)), "wire odd" if wire.odd else "rail of-tor", details=wire.details)


def _branch(depth: int) -> float:
    return 3.0 * depth
