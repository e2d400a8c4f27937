"""Texts along lines, where there is room: none lies on a card or on another text, and few on other lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vdc.graph.canvas import FACT, Canvas, Point, Rect
from vdc.graph.picture import Wire

Segment = tuple[Point, Point]
Quad = tuple[Point, ...]
"""The corners of a text, which may lie aslant."""

_PLACES: Final = tuple(step / 20 for step in range(3, 18))
"""Where along its line the middle of a text may be, as shares of the length."""


@dataclass(slots=True)
class Labels:
    """Writes texts along `lines`, clear of what is `taken`."""

    lines: Sequence[Segment]
    taken: Sequence[Rect]
    written: list[Quad] = field(default_factory=list)

    def write(self, canvas: Canvas, line: Segment, wire: Wire) -> None:
        """Write what a wire has to say at the best place along its line; without any room, nothing."""
        texts = [(text, "dim") for text in wire.labels] + ([(wire.odd, "odd")] if wire.odd else [])
        if not texts:
            return
        width = max(FACT.width(text) for text, _ in texts)
        found = min(self._places(line, width, len(texts)), default=None)
        if found is None:
            return
        _, share = found
        middle, angle = _point(line, share), _angle(line)
        self.written.append(_quad(middle, angle, width, len(texts)))
        for number, (text, css) in enumerate(texts):
            up = _base(number, len(texts))
            at = (middle[0] + math.sin(angle) * up, middle[1] - math.cos(angle) * up)
            canvas.text("labels", at, text, FACT, css=f"{css} halo", anchor="middle", angle=math.degrees(angle))

    def _places(self, line: Segment, width: float, rows: int) -> Iterator[tuple[float, float]]:
        """Yield how bad each possible place is, and where it is."""
        if math.dist(*line) < width + 16:
            return
        for share in _PLACES:
            quad = _quad(_point(line, share), _angle(line), width, rows)
            boxes = (_corners(rect) for rect in self.taken)
            if any(overlap(quad, other) for other in (*self.written, *boxes)):
                continue
            crossed = sum(overlap(quad, other) for other in self.lines if other != line)
            yield crossed + abs(share - 0.6), share


def _point(line: Segment, share: float) -> Point:
    (ax, ay), (bx, by) = line
    return (ax + (bx - ax) * share, ay + (by - ay) * share)


def _angle(line: Segment) -> float:
    """Return the angle at which a text along a line can be read: never upside down."""
    (ax, ay), (bx, by) = line
    angle = math.atan2(by - ay, bx - ax)
    if angle > math.pi / 2:
        return angle - math.pi
    return angle + math.pi if angle <= -math.pi / 2 else angle


def _base(number: int, rows: int) -> float:
    """Return how far above its line the base line of a row of text is: one row is on it, two have it between them."""
    if rows == 1:
        return -3.0
    above = (rows + 1) // 2
    return 3.0 + 11 * (above - 1 - number) if number < above else -9.5 - 11 * (number - above)


def _quad(middle: Point, angle: float, width: float, rows: int) -> Quad:
    """Return the corners of rows of text around a point of their line."""
    half = width / 2 + 2
    top, bottom = -_base(0, rows) - 9, 3 - _base(rows - 1, rows)
    sine, cosine = math.sin(angle), math.cos(angle)
    corners = ((-half, top), (half, top), (half, bottom), (-half, bottom))
    return tuple((middle[0] + x * cosine - y * sine, middle[1] + x * sine + y * cosine) for x, y in corners)


def _corners(rect: Rect) -> Quad:
    return ((rect.x, rect.y), (rect.right, rect.y), (rect.right, rect.bottom), (rect.x, rect.bottom))


def overlap(a: Sequence[Point], b: Sequence[Point]) -> bool:
    """Return whether two convex shapes overlap: no edge of either separates them."""
    return not any(_separates(edge, a, b) for shape in (a, b) for edge in _edges(shape))


def _edges(shape: Sequence[Point]) -> Iterator[Point]:
    for (ax, ay), (bx, by) in zip(shape, (*shape[1:], shape[0]), strict=True):
        yield (ay - by, bx - ax)


def _separates(normal: Point, a: Sequence[Point], b: Sequence[Point]) -> bool:
    first = [x * normal[0] + y * normal[1] for x, y in a]
    second = [x * normal[0] + y * normal[1] for x, y in b]
    return max(first) <= min(second) or max(second) <= min(first)
