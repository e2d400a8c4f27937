"""`vdc inventory`: the devices of a data centre, or of a topology file, for other programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vdc.cli.context import host_of, need_root
from vdc.cli.topology import Name, Sets, offline_context, read_topology

if TYPE_CHECKING:
    from vdc.model.topology import Topology
    from vdc.plan.context import PlanContext

Source = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A data centre that is up, or a topology file.")]
Form = Annotated[
    Literal["json", "ansible", "ssh-config", "hosts"],
    typer.Option("--format", help="JSON, an Ansible inventory, ssh_config(5), or lines for /etc/hosts."),
]


def inventory(
    context: typer.Context, source: Source, form: Form = "json", name: Name = None, sets: Sets = None
) -> None:
    """List devices with role, rack, addresses, AS number and hardware.

    Of a data centre by its name, which needs root; of a FILE (which has a dot or a slash) as it would be.
    """
    from vdc.inventory import Access
    from vdc.inventory import inventory as listed

    topology, known = _offline(context, source, name, sets) if _is_file(source) else _running(context, source)
    access = Access(
        instance=known.instance,
        netns=known.netns,
        secrets=str(known.run_directory / "secrets"),
        relay=(sys.executable, "-m", "vdc.host.relay"),
    )
    typer.echo(listed(topology, access, form), nl=False)


def _is_file(source: str) -> bool:
    """Return whether this is a file: the name of a data centre has neither dots nor slashes."""
    return "." in source or "/" in source


def _offline(
    context: typer.Context, source: str, name: str | None, sets: Sequence[str] | None
) -> tuple[Topology, PlanContext]:
    topology = read_topology(Path(source), sets)
    return topology, offline_context(topology, name, host_of(context).settings())


def _running(context: typer.Context, source: str) -> tuple[Topology, PlanContext]:
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.steps import Steps

    dc = attach(source, settings, Steps())
    return dc.topology, dc.plan.context
