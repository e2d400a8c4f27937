"""A picture in DOT, the language of Graphviz: `vdc graph FILE --format dot | dot -Tsvg`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from vdc.graph.picture import Item, Picture, Pod, Rack, Wire

_HEAD: Final = (
    "graph [rankdir=TB, ranksep=1.0, nodesep=0.25, fontname=sans, labelloc=t, compound=true]",
    'node [shape=box, style="rounded,filled", fontname=sans, fontsize=10, fillcolor=white]',
    "edge [fontname=monospace, fontsize=8, color=gray40]",
)
_COLOURS: Final = {
    "border": "#fdeadb",
    "superspine": "#f0e6fc",
    "spine": "#e3ecfd",
    "tor": "#dff4ec",
    "router": "#fce7f1",
    "client": "#eef1f4",
    "internet": "#eef1f4",
}


def dot(picture: Picture) -> str:
    """Return a picture as a DOT file."""
    lines = [
        *_HEAD,
        f"graph [{_attributes((picture.title, picture.subtitle), '')}]",
        *(
            f"{_quoted(net.name)} [{_attributes((net.title, *net.facts), net.details)}, shape=ellipse, style=dashed]"
            for net in picture.nets
        ),
        *_items(picture.clients),
        *_items(picture.borders),
        *_items(picture.superspines),
        *(line for pod in picture.pods for line in _pod(pod)),
        *_items(picture.beside),
        *_row(picture.borders),
        *_row(picture.superspines),
        *_row([spine for pod in picture.pods for spine in pod.spines]),
        *map(_wire, picture.wires),
        *map(_wire, picture.cables),
    ]
    return "\n".join((f"graph {_quoted(picture.title)} {{", *(f"  {line}" for line in lines), "}", ""))


def _pod(pod: Pod) -> Iterator[str]:
    inner = (*_items(pod.spines), *(line for rack in pod.racks for line in _rack(rack)))
    yield from _cluster(pod.title, inner) if pod.title else inner


def _rack(rack: Rack) -> Iterator[str]:
    yield from _cluster(rack.title, (*_items(rack.tors), *_items(rack.servers), *_row(rack.tors)))


def _cluster(title: str, inner: Iterable[str]) -> Iterator[str]:
    yield f"subgraph {_quoted(f'cluster_{title}')} {{"
    yield f'  graph [label={_quoted(title)}, style="rounded", color=gray60]'
    yield from (f"  {line}" for line in inner)
    yield "}"


def _items(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        name = item.short if item.count > 1 else item.name
        colour = _COLOURS.get(item.kind)
        filled = f', fillcolor="{colour}"' if colour else ""
        yield f"{_quoted(item.name)} [{_attributes((name, *item.facts), item.details)}{filled}]"


def _row(items: Sequence[Item]) -> Iterator[str]:
    """Yield that items stand in one row."""
    if len(items) > 1:
        yield f"{{ rank=same; {'; '.join(_quoted(item.name) for item in items)} }}"


def _wire(wire: Wire) -> str:
    texts = (*wire.labels, *((f"{wire.count} cables",) if wire.count > 1 else ()), *((wire.odd,) if wire.odd else ()))
    odd = ", color=orangered, style=dashed" if wire.odd else ""
    return f"{_quoted(wire.a)} -- {_quoted(wire.b)} [{_attributes(texts, wire.details)}{odd}]"


def _attributes(texts: Iterable[str], details: str) -> str:
    label = "\\n".join(map(_escaped, texts))
    tooltip = "\\n".join(map(_escaped, details.splitlines()))
    return f'label="{label}"' + (f', tooltip="{tooltip}"' if tooltip else "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
