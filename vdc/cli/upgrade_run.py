"""`vdc upgrade run`: lead the nodes of a running data centre from one release to another, or back."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, pick, steps
from vdc.cli.lifecycle import Instance, expect_up
from vdc.errors import ClusterError, InputError

if TYPE_CHECKING:
    from vdc.cluster.api import Cluster
    from vdc.datacenter.api import DataCenter
    from vdc.model.topology import Topology
    from vdc.settings import Settings
    from vdc.steps import Steps
    from vdc.upgrade.path import UpgradePath

PathName = Annotated[str, typer.Argument(metavar="PATH", help="A row of the paths: `vdc upgrade list`.")]
HoldAfter = Annotated[
    int | None,
    typer.Option(
        "--hold-after", metavar="N", min=1, help="Stop when N nodes have the new release; another call goes on."
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        "--at-once", metavar="K", min=1, help="How many nodes of a rack may be away together; else the row's."
    ),
]
Back = Annotated[bool, typer.Option("--back", help="Give nodes the old release again.")]
Only = Annotated[
    list[str] | None, typer.Option("--node", metavar="NODE", help="With --back: only this; may be repeated.")
]


def run(  # noqa: PLR0913, PLR0917 - an argument for each option
    context: typer.Context,
    name: Instance,
    path: PathName,
    hold_after: HoldAfter = None,
    at_once: AtOnce = None,
    back: Back = False,
    nodes: Only = None,
) -> None:
    """Lead the nodes of a running data centre along a path, in the order of the queue; each step waits for facts.

    What is done is kept in a journal: after a crash the next call goes on where that one was. Nodes that run the new
    release are not touched.
    """
    settings = need_root(context)
    if nodes and not back:
        raise InputError("--node is for --back: the queue says who is next", hint="--hold-after N stops after N nodes")
    if hold_after is not None and back:
        raise InputError("--hold-after is for the way forward", hint="--node NODE says who goes back")
    from vdc.datacenter.lifecycle import attach
    from vdc.faults.proofs import wait_whole
    from vdc.upgrade.journal import FILE, Begun, Journal
    from vdc.upgrade.paths import path as path_of
    from vdc.upgrade.upgrader import Upgrader, dying, limits_of
    from vdc.upgrade.ways import way_of

    told = steps()
    dc = attach(name, settings, told)
    expect_up(dc)
    dc.steps.recorder = dc.recorder
    chosen = path_of(path)
    start = time.monotonic()
    cluster = cluster_of(dc, chosen)
    if not back:
        expect_allowed(chosen, dc.topology)
    _fetch(chosen.origin if back else chosen.target, settings, told)
    going = Upgrader(
        dc=dc,
        way=way_of(dc, cluster, chosen),
        begun=Begun(path=chosen.name, origin=chosen.before, target=chosen.after),
        journal=Journal(dc.run_directory / FILE),
        limits=limits_of(chosen, at_once=at_once),
        boundary=dying,
        whole=partial(wait_whole, dc, cluster),
    )
    if back:
        there = [node.name for node in going.way.nodes]
        led = going.back([pick("node", each, there) for each in nodes] if nodes else None)
    else:
        led = going.run(most=hold_after)
    release = chosen.before if back else chosen.after
    took = f"after {time.monotonic() - start:.1f} s"
    typer.echo(f"{', '.join(led)}: {release} {took}" if led else f"nothing to do: all run {release} already")


def _fetch(name: str, settings: Settings, told: Steps) -> None:
    """Have in the cache what nodes get of a release: its image, or what it has instead of one."""
    from vdc.host import artifacts, images
    from vdc.model.releases import release

    if release(name).has_image:
        images.ensure(name, settings, told)
    else:
        artifacts.ensure(release(name), settings, told)


def cluster_of(dc: DataCenter, path: UpgradePath) -> Cluster | None:
    """Return the cluster that a path is for, or that only has to go on serving: None if that is none.

    Raises InputError: another one is deployed than a path is for, or none.
    """
    from vdc.cluster.deployers import DEPLOYERS, deployed

    if path.cluster == "none":
        return next(deployed(dc), None)
    try:
        return DEPLOYERS[path.cluster]().attach(dc)
    except ClusterError as error:
        raise InputError(
            f"{path.name} is for a cluster deployed by {path.cluster}, and {dc.name} has none",
            hint=f"vdc deploy {dc.name}; `vdc upgrade list` says what each path is for",
        ) from error


def expect_allowed(path: UpgradePath, topology: Topology) -> None:
    """Pass if no rule forbids a path, at no moment of it. Of the user's own commands only the ends are known.

    Raises ForbiddenError: a rule does. Raises InputError: it cannot be done so.
    """
    from vdc.model.releases import catalogue
    from vdc.upgrade.plan import planned
    from vdc.upgrade.rules import versions_of

    if not path.hooks:
        versions = {name: versions_of(each) for name, each in catalogue().items()}
        planned(path.origin, path.target, versions, path, topology)
