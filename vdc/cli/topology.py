"""`vdc validate` and `vdc plan`: pure; they need no root and touch nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import host_of

if TYPE_CHECKING:
    from vdc.model.topology import Topology
    from vdc.plan.plan import Plan
    from vdc.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The topology file.")]
Name = Annotated[str | None, typer.Option("--name", metavar="N", help="The instance name; by default the topology's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def validate(file: File) -> None:
    """Check a topology file; print every mistake at once.

    A mistake is a line `file:line:column: path: message`; with any, the exit code is 2.
    """
    topology = read_topology(file)
    typer.echo(
        f"{file}: valid: {len(topology.routers)} routers, {len(topology.links)} links, "
        f"{len(topology.servers)} servers in {len(topology.racks)} racks, {len(topology.externals)} external"
    )


def plan(context: typer.Context, file: File, name: Name = None, as_json: Json = False) -> None:
    """Print everything that would exist on the host."""
    made = offline_plan(file, name, host_of(context).settings())
    if as_json:
        typer.echo(made.to_json(), nl=False)
        return
    from vdc.cli.render import plan_text

    typer.echo(plan_text(made))


def read_topology(file: Path) -> Topology:
    """Load and expand a topology file; raises InputError with every mistake in it."""
    from vdc.model.expand import expand
    from vdc.model.load import load

    return expand(load(file))


def offline_plan(file: Path, name: str | None, settings: Settings) -> Plan:
    """Return the plan of a topology file with what is known of this host, or else for emulated guests."""
    from vdc.host.accelerator import cached
    from vdc.plan.plan import PlanContext, make_plan

    topology = read_topology(file)
    known = cached(settings)
    context = PlanContext(
        instance=name or topology.name,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator=known.kind if known else "tcg",
        slowness=known.slowness if known else 1.0,
    )
    return make_plan(topology, context)
