"""A picture in Mermaid, which GitHub and others draw where a page has it as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from vdc.graph.bundle import bundle
from vdc.graph.picture import Item, Picture, Pod, Rack, Wire

EDGES: Final = 480
"""The most wires that are drawn one by one: Mermaid refuses more than 500 (`maxEdges`)."""

_STYLES: Final = (
    "classDef border fill:#fdeadb,stroke:#c2570c,color:#1f2933",
    "classDef superspine fill:#f0e6fc,stroke:#7c3aed,color:#1f2933",
    "classDef spine fill:#e3ecfd,stroke:#2563eb,color:#1f2933",
    "classDef tor fill:#dff4ec,stroke:#0f8a5f,color:#1f2933",
    "classDef router fill:#fce7f1,stroke:#be185d,color:#1f2933",
    "classDef server fill:#ffffff,stroke:#8a97a5,color:#1f2933",
    "classDef client fill:#eef1f4,stroke:#52606d,color:#1f2933",
    "classDef internet fill:#eef1f4,stroke:#52606d,color:#1f2933",
)


def mermaid(picture: Picture) -> str:
    """Return a picture as a Mermaid flow chart. Of very many wires, those between the same tiers become one."""
    shown = _few_wires(picture)
    lines = [
        *(f"{_id(net.name)}([{_text((net.title, *net.facts))}])" for net in shown.nets if net.outside),
        *_items(shown.clients),
        *_items(shown.borders),
        *_items(shown.superspines),
        *(line for number, pod in enumerate(shown.pods) for line in _pod(number, pod)),
        *_items(shown.beside),
        *(f"{_id(net.name)}([{_text((net.title, *net.facts))}])" for net in shown.nets if not net.outside),
        *map(_wire, (*shown.wires, *shown.cables)),
        *_STYLES,
    ]
    head = ("---", f"title: {picture.title}", "---", f"%% {picture.subtitle}", "flowchart TB")
    return "\n".join((*head, *(f"  {line}" for line in lines), ""))


def _few_wires(picture: Picture) -> Picture:
    """Return the picture with as much of it in one as Mermaid needs."""
    ways = (picture, *(bundle(picture, racks=racks) for racks in (False, True)))
    return next((way for way in ways if len(way.wires) + len(way.cables) <= EDGES), ways[-1])


def _pod(number: int, pod: Pod) -> Iterator[str]:
    inner = (*_items(pod.spines), *(line for rack in pod.racks for line in _rack(rack)))
    yield from _subgraph(f"pod:{number}", pod.title, inner) if pod.title else inner


def _rack(rack: Rack) -> Iterator[str]:
    name = f"box:{rack.title.partition(' ')[0]}"
    yield from _subgraph(name, rack.title, (*_items(rack.tors), *_items(rack.servers)))


def _subgraph(name: str, title: str, inner: Iterable[str]) -> Iterator[str]:
    yield f"subgraph {_id(name)} [{_text((title,))}]"
    yield from (f"  {line}" for line in inner)
    yield "end"


def _items(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        name = item.short if item.count > 1 else item.name
        yield f"{_id(item.name)}[{_text((name, *item.facts))}]:::{item.kind}"


def _wire(wire: Wire) -> str:
    texts = (*wire.labels, *((f"{wire.count} cables",) if wire.count > 1 else ()), *((wire.odd,) if wire.odd else ()))
    label = f"|{_text(texts)}|" if texts else ""
    return f"{_id(wire.a)} {'-.-' if wire.odd else '---'}{label} {_id(wire.b)}"


def _id(name: str) -> str:
    """Return a name that is no word of Mermaid and has none of its signs; other names give other ones."""
    kind, _, rest = name.rpartition(":")
    return f"{kind or 'device'}_{rest.replace('-', '_')}"


def _text(texts: Iterable[str]) -> str:
    return '"' + "<br/>".join(text.replace("#", "#35;").replace('"', "#quot;") for text in texts) + '"'
