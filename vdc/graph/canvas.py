"""SVG 1.1 by hand: shapes in layers, with a style for light and for dark pages. Lengths are in pixels, y goes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

LAYERS: Final = ("pods", "racks", "wires", "rails", "cards", "labels")
"""What is drawn first lies below."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    """A box by its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return (self.x + self.width / 2, self.y + self.height / 2)


@dataclass(frozen=True, slots=True)
class Font:
    """A size in pixels, and how wide a character of it is at most in the fonts that systems have, on average."""

    css: str
    size: float
    advance: float

    def width(self, text: str) -> float:
        """Return how wide a text is at most."""
        return len(text) * self.size * self.advance


HEADING: Final = Font("heading", 18, 0.66)
PLAIN: Final = Font("plain", 11, 0.6)
NAME: Final = Font("name", 11, 0.68)
FACT: Final = Font("fact", 9.5, 0.615)

_LIGHT: Final[Mapping[str, tuple[str, str]]] = {
    "border": ("#fdeadb", "#c2570c"),
    "superspine": ("#f0e6fc", "#7c3aed"),
    "spine": ("#e3ecfd", "#2563eb"),
    "tor": ("#dff4ec", "#0f8a5f"),
    "router": ("#fce7f1", "#be185d"),
    "server": ("#ffffff", "#b8c2cc"),
    "client": ("#eef1f4", "#52606d"),
    "internet": ("#eef1f4", "#52606d"),
    "rack": ("#f5f7fa", "#cbd2d9"),
    "pod": ("#fbfcfe", "#b8c6d8"),
    "paper": ("#ffffff", "#e1e6eb"),
}
_DARK: Final[Mapping[str, tuple[str, str]]] = {
    "border": ("#41260f", "#f0924a"),
    "superspine": ("#2e1d4d", "#a98bf5"),
    "spine": ("#16294f", "#6f9cf7"),
    "tor": ("#0e3527", "#3fbf92"),
    "router": ("#451a30", "#ee77ac"),
    "server": ("#1c242d", "#4b5866"),
    "client": ("#27303a", "#93a1b0"),
    "internet": ("#27303a", "#93a1b0"),
    "rack": ("#171e26", "#3a4653"),
    "pod": ("#131920", "#41536a"),
    "paper": ("#0f141a", "#27303a"),
}
ROLES: Final = ("#2f80ed", "#e2a100", "#9b51e0", "#27ae60", "#eb5757", "#00a3b4")
"""The stripes of servers, by role."""

_TEXTS: Final = (
    (
        ".heading{font:600 18px SANS}.name{font:600 11px SANS}.plain{font:11px SANS}.fact{font:9.5px MONO}"
        "line,path,polyline{fill:none}.wire{stroke-width:1.1}.bus{stroke-width:1.1;opacity:.75}"
        ".thick{stroke-width:4}.rail{stroke-width:1;opacity:.7}.net{stroke-width:4;stroke-linecap:round}"
        ".odd{stroke-width:1.8;stroke-dasharray:5 3}.halo{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}"
        ".dash{stroke-dasharray:4 3}"
    )
    .replace("SANS", 'system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif')
    .replace("MONO", 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace')
)


@dataclass(slots=True)
class Canvas:
    """Collects shapes; `document` is the file."""

    width: float = 0.0
    height: float = 0.0
    layers: dict[str, list[str]] = field(default_factory=lambda: {layer: [] for layer in LAYERS})

    def box(self, layer: str, rect: Rect, css: str, *, details: str = "", radius: float = 5) -> None:
        """Draw a box."""
        at = f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}" rx="{_n(radius)}"'
        self._add(layer, "rect", f'class="{css}" {at}', details)

    def stripe(self, layer: str, rect: Rect, colour: str) -> None:
        """Draw a small bar of a colour of its own."""
        at = f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}"'
        self._add(layer, "rect", f'fill="{colour}" rx="1.5" {at}', "")

    def line(self, layer: str, points: Sequence[Point], css: str, *, details: str = "") -> None:
        """Draw a line through points; pointing near it is enough to see its details."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(layer, "polyline", f'class="{css}" points="{path}"', details)

    def dot(self, layer: str, at: Point, css: str, *, radius: float = 1.8, details: str = "") -> None:
        """Draw a dot."""
        self._add(layer, "circle", f'class="{css}" cx="{_n(at[0])}" cy="{_n(at[1])}" r="{_n(radius)}"', details)

    def text(  # noqa: PLR0913 - what a text has
        self, layer: str, at: Point, text: str, font: Font, *, css: str = "", anchor: str = "start", angle: float = 0.0
    ) -> None:
        """Draw a text with its base line at a point."""
        x, y = at
        turned = f' transform="rotate({_n(angle)} {_n(x)} {_n(y)})"' if angle else ""
        anchored = f' text-anchor="{anchor}"' if anchor != "start" else ""
        place = f'class="{f"{font.css} {css}".strip()}" x="{_n(x)}" y="{_n(y)}"{anchored}{turned}'
        self.layers[layer].append(f"<text {place}>{escape(text)}</text>")

    def document(self, title: str, description: str) -> str:
        """Return the SVG file, which scales to any width."""
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}"'
        paper = Rect(0.5, 0.5, self.width - 1, self.height - 1)
        at = f'x="0.5" y="0.5" width="{_n(paper.width)}" height="{_n(paper.height)}" rx="8"'
        layers = "\n".join(f'<g id="{layer}">\n{_lines(self.layers[layer])}</g>' for layer in LAYERS)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title description">\n'
            f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
            f"<style>{_style()}</style>\n"
            f'<rect class="paper" {at}/>\n{layers}\n</svg>\n'
        )

    def _add(self, layer: str, tag: str, attributes: str, details: str) -> None:
        inside = f"><title>{escape(details)}</title></{tag}>" if details else "/>"
        self.layers[layer].append(f"<{tag} {attributes}{inside}")


def _style() -> str:
    dark = _palette(_DARK, ink="#e6ebf1", dim="#9aa8b7", line="#6b7a8a", odd="#ff8f4d")
    light = _palette(_LIGHT, ink="#1f2933", dim="#52606d", line="#8a97a5", odd="#d9480f")
    return f"{_TEXTS}{light}@media (prefers-color-scheme: dark){{{dark}}}"


def _palette(boxes: Mapping[str, tuple[str, str]], *, ink: str, dim: str, line: str, odd: str) -> str:
    paper = boxes["paper"][0]
    return (
        f"text{{fill:{ink}}}.dim{{fill:{dim}}}.halo{{stroke:{paper}}}text.odd{{fill:{odd};stroke-dasharray:none}}"
        f".wire,.bus,.rail,.net{{stroke:{line}}}.joint{{fill:{line}}}.knot{{fill:{paper};stroke:{line};stroke-width:2}}.knot.odd{{stroke:{odd}}}.joint.odd,.arrow{{fill:{odd}}}"
        f"polyline.odd{{stroke:{odd}}}"
        + "".join(f".{css}{{fill:{fill};stroke:{edge}}}" for css, (fill, edge) in boxes.items())
        + "".join(
            f"polyline.of-{css},.joint.of-{css}{{stroke:{edge}}}.joint.of-{css}{{fill:{edge}}}"
            for css, (_, edge) in boxes.items()
            if css in _UPPER
        )
    )


_UPPER: Final = ("border", "superspine", "spine", "tor", "router")


def _lines(shapes: Sequence[str]) -> str:
    return "".join(f"{shape}\n" for shape in shapes)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
