"""`vdc up`, `list`, `status`, `down` and `gc`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vdc.cli.context import need_root, pick, steps
from vdc.cli.topology import File, Json, Name, Sets, read_topology
from vdc.errors import DirtyError, InputError

if TYPE_CHECKING:
    from vdc.datacenter.live import LiveDataCenter
    from vdc.datacenter.status import Status
    from vdc.model.topology import Topology
    from vdc.settings import Settings

Instance = Annotated[str, typer.Argument(metavar="N", help="The name of a data centre.")]
MaybeInstance = Annotated[str | None, typer.Argument(metavar="[N]", help="The name of a data centre; by default all.")]
Retain = Annotated[bool, typer.Option("--retain", help="Keep what was built when building fails, to look into.")]
Boot = Annotated[
    Literal["fork", "cold"] | None,
    typer.Option("--boot", help="How servers start: as clones of a booted template, or cold (the topology's boot)."),
]

Deploy = Annotated[
    bool, typer.Option("--deploy", help="Deploy the cluster that suits the topology, too; if it fails, all goes.")
]

Ttl = Annotated[
    str | None,
    typer.Option("--ttl", metavar="TIME", help="Take it down after that: 2h, 1h30m. `vdc extend` puts it off."),
]


def up(  # noqa: PLR0913, PLR0917 - an argument for each option
    context: typer.Context,
    file: File,
    name: Name = None,
    retain: Retain = False,
    boot: Boot = None,
    deploy: Deploy = False,
    ttl: Ttl = None,
    sets: Sets = None,
) -> None:
    """Build a data centre and leave it running.

    Returns when every route is in every kernel and every server answers. What failed is rolled back.
    """
    settings = need_root(context)
    lasts = None if ttl is None else seconds_of(ttl)
    from vdc.datacenter.lifecycle import prepare
    from vdc.datacenter.lifecycle import up as build

    topology = read_topology(file, sets)
    if deploy:
        check_deployable(topology)
    told = steps()
    plan = prepare(topology, name, settings, told, boot=boot)
    start = time.monotonic()
    dc = build(plan, settings, told, retain=retain)
    if lasts is not None:
        from vdc.datacenter.stay import begin

        begin(dc.run_directory, "ttl", lasts, why=f"vdc up --ttl {ttl}", goes=True)
    serves = f", {_deployed(dc, retain=retain)} serves" if deploy else ""
    typer.echo(
        f"{dc.name} is up{serves} after {time.monotonic() - start:.1f} s: "
        f"{len(topology.routers)} routers, {len(topology.servers)} servers; see `vdc status {dc.name}`"
    )


def seconds_of(text: str) -> float:
    """Return the seconds that a duration such as 30m means. Raises InputError."""
    from vdc.datacenter.stay import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(str(error)) from error


def check_deployable(topology: Topology) -> None:
    """Pass if the cluster that suits a topology can be deployed on it. Raises InputError, HostError."""
    from vdc.cluster.deployers import DEPLOYERS, default_deployer

    DEPLOYERS[default_deployer(topology)]().check(topology)


def _deployed(dc: LiveDataCenter, *, retain: bool) -> str:
    """Deploy, and take the data centre down again if that fails, unless `retain`."""
    from vdc.cli.clusters import deploy_on
    from vdc.datacenter.lifecycle import down as take_down

    try:
        # what was installed goes with its servers, or stays with them
        return deploy_on(dc, None, retain=True)
    except BaseException as error:
        if retain:
            error.add_note(f"what was built is kept; `vdc down {dc.name}` removes it")
        else:
            take_down(dc.name, dc.settings, dc.steps)
        raise


def expect_up(dc: LiveDataCenter) -> None:
    """Pass if a data centre came up since this host booted. Raises DirtyError: it did not."""
    from vdc.datacenter.live import is_up

    if not is_up(dc.run_directory):
        raise DirtyError(f"{dc.name} is not up", hint=f"`vdc down {dc.name}` removes what there is of it")


def list_(context: typer.Context) -> None:
    """List the data centres of this host, and how long they stay.

    Asks none of them anything: `vdc status` does.
    """
    settings = need_root(context)
    from vdc.cli.render import stays_text
    from vdc.datacenter.lifecycle import instances
    from vdc.datacenter.live import is_up
    from vdc.datacenter.stay import stays

    there = {name: settings.state_dir / name for name in instances(settings)}
    rows = [(name, is_up(path), stays(path)) for name, path in there.items()]
    typer.echo(stays_text(rows) or "no data centre is there")


def status(context: typer.Context, name: MaybeInstance = None, as_json: Json = False) -> None:
    """Show the state of data centres and their devices.

    Exits 1 if any is degraded or down.
    """
    settings = need_root(context)
    from vdc.cli.render import crashed_json, status_json, status_text
    from vdc.datacenter.lifecycle import attach, instances
    from vdc.steps import Steps

    there = instances(settings)
    names = there if name is None else (pick("data centre", name, there),)
    crashed = [each for each in names if not is_planned(each, settings)]
    running = [attach(each, settings, Steps()) for each in names if each not in crashed]
    found = _look(running)
    if as_json:
        typer.echo(json.dumps([*map(status_json, found), *map(crashed_json, crashed)], indent=2))
    else:
        remains = (f"{each}: what a crash left; `vdc down {each}` removes it" for each in crashed)
        typer.echo("\n\n".join((*map(status_text, found), *remains)) or "no data centre is there")
    if crashed or any(each.state != "up" for each in found):
        raise typer.Exit(1)


def _look(running: Sequence[LiveDataCenter]) -> list[Status]:
    if not running:
        return []
    from vdc.datacenter.status import status as look

    return [look(dc) for dc in running]


def is_planned(name: str, settings: Settings) -> bool:
    """Return whether a data centre got so far as to say what it is made of."""
    from vdc.host.claims import PLAN

    return (settings.state_dir / name / PLAN).exists()


def down(context: typer.Context, name: Instance) -> None:
    """Take a data centre down: nothing of it is left.

    Works after a crash too, and needs no topology file.
    """
    settings = need_root(context)
    from vdc.datacenter.lifecycle import down as take_down

    start = time.monotonic()
    take_down(name, settings, steps())
    typer.echo(f"{name} is down after {time.monotonic() - start:.1f} s")


def gc(context: typer.Context) -> None:
    """Remove what crashed processes left behind.

    Running data centres are not touched.
    """
    settings = need_root(context)
    from vdc.datacenter import checkpoint_stores
    from vdc.datacenter.lifecycle import gc as collect

    checkpoint_stores.clean(settings)
    cleaned = collect(settings, steps())
    typer.echo(f"removed {', '.join(cleaned)}" if cleaned else "nothing to remove")
