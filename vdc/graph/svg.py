"""A picture as SVG: it scales, needs no viewer but a browser, and tells all of a thing that is pointed at."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

from vdc.graph.canvas import FACT, HEADING, NAME, PLAIN, ROLES, Canvas, Rect
from vdc.graph.layout import Bar, Card, Frame, lay_out
from vdc.graph.picture import Picture
from vdc.graph.sizes import MARGIN, ROW
from vdc.graph.wiring import draw_wires


def svg(picture: Picture) -> str:
    """Return a picture as an SVG file."""
    layout = lay_out(picture)
    canvas = Canvas(width=layout.width, height=layout.height)
    canvas.text("labels", (MARGIN, MARGIN + 14), picture.title, HEADING)
    canvas.text("labels", (MARGIN, MARGIN + 32), picture.subtitle, PLAIN, css="dim")
    for frame in layout.frames:
        _frame(frame, canvas)
    for bar in layout.bars.values():
        _bar(bar, canvas)
    for x, y, text in layout.notes:
        canvas.text("labels", (x, y), text, FACT, css="odd")
    draw_wires(picture, layout, canvas)
    roles = dict.fromkeys(item.group for item in picture.items if item.group)
    colours = {role: ROLES[at % len(ROLES)] for at, role in enumerate(roles)}
    for card in layout.cards.values():
        (_unit if card.unit else _card)(card, colours, canvas)
    return canvas.document(picture.title, f"{picture.title}: {picture.subtitle}")


def _frame(frame: Frame, canvas: Canvas) -> None:
    layer = "pods" if frame.css == "pod" else "racks"
    canvas.box(layer, frame.rect, frame.css, details=frame.details, radius=8)
    canvas.text("labels", (frame.rect.x + 8, frame.rect.y + 14), frame.title, NAME, css="dim halo")


def _bar(bar: Bar, canvas: Canvas) -> None:
    canvas.line("wires", ((bar.x + 3, bar.y), (bar.right - 3, bar.y)), "net", details=bar.net.details)
    canvas.text("labels", (bar.x, bar.y - 7), bar.net.title, NAME, css="halo")
    facts = "  ".join(bar.net.facts)
    canvas.text("labels", (bar.x + NAME.width(bar.net.title) + 8, bar.y - 7), facts, FACT, css="dim halo")


def _card(card: Card, colours: Mapping[str, str], canvas: Canvas) -> None:
    """Draw a device: its name, and its facts under it, centred."""
    rect = card.rect
    canvas.box("cards", rect, card.item.kind, details=card.item.details)
    if card.item.group:
        canvas.stripe("cards", Rect(rect.x + 3, rect.y + 4, 3, rect.height - 8), colours[card.item.group])
    x = rect.middle[0]
    for at, text in enumerate(card.left):
        font, css = (NAME, "") if at == 0 else (FACT, "dim")
        canvas.text("cards", (x, rect.y + 15 + ROW * at), text, font, css=css, anchor="middle")


def _unit(card: Card, colours: Mapping[str, str], canvas: Canvas) -> None:
    """Draw a server, or how many there are of a role, as a unit of a rack: texts at its left and at its right."""
    rect = card.rect
    canvas.box("cards", rect, card.item.kind, details=card.item.details, radius=3)
    canvas.stripe("cards", Rect(rect.x + 3, rect.y + 3, 3, rect.height - 6), colours[card.item.group])
    for at, (left, right) in enumerate(zip_longest(card.left, card.right, fillvalue="")):
        y = rect.y + 13 + ROW * at
        if left:
            font, css = (NAME, "") if at == 0 else (FACT, "dim")
            canvas.text("cards", (rect.x + 10, y), left, font, css=css)
        if right:
            canvas.text("cards", (rect.right - 7, y), right, FACT, css="dim" if at else "", anchor="end")
