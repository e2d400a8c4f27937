"""`vdc validate`, `vdc schema` and `vdc plan`: pure; they need no root and touch nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import host_of, need_root

if TYPE_CHECKING:
    from vdc.model.topology import Topology
    from vdc.plan.context import PlanContext
    from vdc.plan.plan import Plan
    from vdc.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The topology file.")]
Name = Annotated[str | None, typer.Option("--name", metavar="N", help="The instance name; by default the topology's.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set a variable of the topology file; may be given more than once."
    ),
]
Diff = Annotated[
    str | None, typer.Option("--diff", metavar="N", help="Print how the data centre N, which is up, differs from it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def validate(file: File, sets: Sets = None) -> None:
    """Check a topology file; print every mistake at once.

    A mistake is a line `file:line:column: path: message`; with any, the exit code is 2.
    """
    topology = read_topology(file, sets)
    typer.echo(
        f"{file}: valid: {len(topology.routers)} routers, {len(topology.links)} links, "
        f"{len(topology.servers)} servers in {len(topology.racks)} racks, {len(topology.externals)} external"
    )


def schema() -> None:
    """Print the JSON Schema of topology files, for editors.

    A file names it in its first line: `# yaml-language-server: $schema=schema.json`.
    """
    from vdc.model.schema import schema_text

    typer.echo(schema_text(), nl=False)


def plan(
    context: typer.Context,
    file: File,
    name: Name = None,
    as_json: Json = False,
    running: Diff = None,
    sets: Sets = None,
) -> None:
    """Print everything that would exist on the host: what it needs, every device and resource.

    With --diff, what would change in a data centre that is up, which needs root.
    """
    if running is not None:
        typer.echo(_difference(context, running, read_topology(file, sets)))
        return
    made = offline_plan(file, name, host_of(context).settings(), sets)
    if as_json:
        typer.echo(made.to_json(), nl=False)
        return
    from vdc.cli.planned import plan_text

    typer.echo(plan_text(made))


def _difference(context: typer.Context, name: str, topology: Topology) -> str:
    """Return how a data centre that is up differs from a topology."""
    settings = need_root(context)
    from vdc.cli.difference import diff_text, resources_text
    from vdc.datacenter.apply import compare
    from vdc.datacenter.lifecycle import attach
    from vdc.steps import Steps

    found = compare(attach(name, settings, Steps()).plan, topology, settings).diff
    return "\n".join((diff_text(found), *resources_text(found)))


def read_topology(file: Path, sets: Sequence[str] | None = None) -> Topology:
    """Load and expand a topology file, with `--set` for its variables; raises InputError with every mistake.

    Links of which it says nothing carry what the default route of this host carries.
    """
    from vdc.host.uplink import default_mtu
    from vdc.model.load import read_topology as read

    return read(file, sets or (), default_mtu=default_mtu())


def offline_plan(file: Path, name: str | None, settings: Settings, sets: Sequence[str] | None = None) -> Plan:
    """Return the plan of a topology file with what is known of this host, or else for emulated guests."""
    from vdc.plan.plan import make_plan

    topology = read_topology(file, sets)
    return make_plan(topology, offline_context(topology, name, settings))


def offline_context(topology: Topology, name: str | None, settings: Settings) -> PlanContext:
    """Return where and how an instance would run, with what is known of this host."""
    from vdc.host.accelerator import cached
    from vdc.plan.context import PlanContext

    known = cached(settings)
    return PlanContext(
        instance=name or topology.name,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator=known.kind if known else "tcg",
        slowness=known.slowness if known else 1.0,
    )
