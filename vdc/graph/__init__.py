"""Pictures of a topology. Pure: the same topology gives the same text, in SVG, in Graphviz's DOT or in Mermaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from vdc.graph.depict import depict
from vdc.graph.dot import dot
from vdc.graph.mermaid import mermaid
from vdc.graph.picture import Picture
from vdc.graph.svg import svg
from vdc.model.topology import Topology

Format = Literal["svg", "dot", "mermaid"]

FORMATS: Mapping[Format, Callable[[Picture], str]] = MappingProxyType({"svg": svg, "dot": dot, "mermaid": mermaid})


def draw(topology: Topology, form: Format, *, name: str | None = None) -> str:
    """Return a picture of `topology`, called `name` instead of by its own name if given."""
    return FORMATS[form](depict(topology, name=name))
