"""`vdc checkpoint save|restore|list|rm` and `vdc fork`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, steps
from vdc.cli.lifecycle import Instance

if TYPE_CHECKING:
    from vdc.datacenter.live import LiveDataCenter

Tag = Annotated[str, typer.Argument(metavar="TAG", help="The name of a checkpoint.")]
Other = Annotated[str, typer.Option("--as", metavar="OTHER", help="The name of the fork.")]


def build_app() -> typer.Typer:
    """Return the commands below `vdc checkpoint`."""
    app = typer.Typer(help="Freeze a data centre at one instant, and put it back there.", no_args_is_help=True)
    app.command("save")(save)
    app.command("restore")(restore)
    app.command("list")(list_)
    app.command("rm")(remove)
    return app


def save(context: typer.Context, name: Instance, tag: Tag) -> None:
    """Store a data centre as it is now; it stands still meanwhile, and then goes on."""
    settings = need_root(context)
    from vdc.datacenter import checkpoint_stores
    from vdc.datacenter.lifecycle import attach

    start = time.monotonic()
    told = steps()
    with told.step(f"save {name} as {tag}"):
        made = checkpoint_stores.save(attach(name, settings, told), tag)
    typer.echo(
        f"saved {made.name} {made.tag} after {time.monotonic() - start:.1f} s: {made.size >> 20} MiB; "
        f"its guests stood still for {made.stood_still:.1f} s"
    )


def restore(context: typer.Context, name: Instance, tag: Tag) -> None:
    """Put a data centre back to a checkpoint, whatever became of it since.

    Returns when clocks are right, routes are in, and its cluster serves.
    """
    settings = need_root(context)
    from vdc.datacenter import checkpoint_stores, fork

    start = time.monotonic()
    told = steps()
    _serving(fork.restore(checkpoint_stores.find(name, tag, settings), settings, told))
    typer.echo(f"{name} is back at {tag} after {time.monotonic() - start:.1f} s")


def list_(context: typer.Context) -> None:
    """List the checkpoints there are."""
    settings = need_root(context)
    from vdc.cli.render import table
    from vdc.datacenter.checkpoint_stores import checkpoints

    rows = [(each.name, each.tag, each.taken, f"{each.size >> 20} MiB") for each in checkpoints(settings)]
    typer.echo(table(("data centre", "tag", "taken", "size"), rows) if rows else "no checkpoint is there")


def remove(context: typer.Context, name: Instance, tag: Tag) -> None:
    """Remove a checkpoint. What was forked from it, or put back to it, must be down."""
    settings = need_root(context)
    from vdc.datacenter.checkpoint_stores import remove as take_away

    take_away(name, tag, settings)
    typer.echo(f"removed {name} {tag}")


def fork(context: typer.Context, name: Instance, tag: Tag, other: Other) -> None:
    """Bring a checkpoint to life a second time, beside the first.

    Neither can reach the other. Returns when clocks are right, routes are in, and its cluster serves.
    """
    settings = need_root(context)
    from vdc.datacenter import checkpoint_stores
    from vdc.datacenter import fork as forks

    start = time.monotonic()
    told = steps()
    _serving(forks.fork(checkpoint_stores.find(name, tag, settings), other, settings, told))
    typer.echo(f"{other} is up after {time.monotonic() - start:.1f} s, as {name} was at {tag}")


def _serving(dc: LiveDataCenter) -> None:
    from vdc.cluster.deployers import deployed

    for cluster in deployed(dc):
        with dc.steps.step("wait until the cluster serves"):
            cluster.wait_serving()
