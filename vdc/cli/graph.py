"""`vdc graph`: a picture of a topology. Pure; it needs no root and touches nothing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vdc.cli.topology import File, Name, Sets

Form = Annotated[
    Literal["svg", "dot", "mermaid"],
    typer.Option("--format", help="SVG for any browser, DOT for Graphviz, Mermaid for pages that draw it."),
]


def graph(file: File, form: Form = "svg", name: Name = None, sets: Sets = None) -> None:
    """Draw the fabric: tiers in rows, racks boxed, AS numbers and addresses on it.

    Print the picture. In SVG, what is pointed at tells all that is known of it.
    """
    from vdc.graph import draw
    from vdc.model.load import read_topology

    # a picture of the file, the same on every host, whatever its links carry there
    typer.echo(draw(read_topology(file, sets or ()), form, name=name), nl=False)
