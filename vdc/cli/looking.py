"""`vdc extend`, `resume` and `bundle`: for who looks into a data centre after a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vdc.cli.context import need_root, pick
from vdc.cli.lifecycle import Instance, seconds_of

Time = Annotated[str, typer.Argument(metavar="TIME", help="How much longer: 30m, 1h30m.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The archive; by default N.tar.gz, here.")]


def extend(context: typer.Context, name: Instance, time: Time) -> None:
    """Let a data centre stay longer than its time.

    That is one that a run holds after a failure, or one with a TTL.
    """
    directory = _directory(context, name)
    from vdc.datacenter.stay import extend as put_off

    stay = put_off(directory, seconds_of(time))
    typer.echo(f"{name} stays until {stay.ends}, for {stay.left / 60:.1f} min")


def resume(context: typer.Context, name: Instance) -> None:
    """Let the run go on that holds a data centre, after a failure or before a scenario."""
    directory = _directory(context, name)
    from vdc.datacenter.stay import resume as go_on

    stay = go_on(directory)
    typer.echo(f"the run goes on; it was held since {stay.why}")


def bundle(context: typer.Context, name: Instance, output: Output = None) -> None:
    """Gather the evidence of a data centre into one archive: what a failed scenario leaves, too.

    Consoles, journals, routing, filters, objects and events of the cluster, packets, the plan. Secrets are taken out.
    """
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.evidence.bundle import SUFFIX, gather
    from vdc.steps import Steps

    path = (output or Path(f"{name}{SUFFIX}")).absolute()
    typer.echo(str(gather(attach(name, settings, Steps()), path)))


def _directory(context: typer.Context, name: str) -> Path:
    settings = need_root(context)
    from vdc.datacenter.lifecycle import instances

    return settings.state_dir / pick("data centre", name, instances(settings))
