"""`vdc apply`: brings a running data centre to a topology file."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from vdc.cli.context import need_root, steps
from vdc.cli.topology import File, Name, Sets, read_topology

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")]


def apply(context: typer.Context, file: File, name: Name = None, dry_run: DryRun = False, sets: Sets = None) -> None:
    """Bring a running data centre to the file: add, remove and change what differs.

    Prints the difference first. Whatever is the same goes on undisturbed; what leaves is drained before it is removed.
    """
    settings = need_root(context)
    from vdc.cli.difference import diff_text
    from vdc.datacenter.apply import apply as reshape
    from vdc.datacenter.apply import compare
    from vdc.datacenter.lifecycle import attach

    topology = read_topology(file, sets)
    told = steps()
    wanted = compare(attach(name or topology.name, settings, told).plan, topology, settings)
    typer.echo(diff_text(wanted.diff))
    if dry_run or wanted.diff.empty:
        return
    start = time.monotonic()
    dc = reshape(wanted, settings, told)
    typer.echo(
        f"{dc.name} is as the file says after {time.monotonic() - start:.1f} s: "
        f"{len(topology.routers)} routers, {len(topology.servers)} servers"
    )
