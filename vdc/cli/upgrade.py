"""`vdc upgrade`: which upgrades there are, what each would do and what forbids it, and which were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli import upgrade_run
from vdc.cli.context import host_of
from vdc.errors import InputError

if TYPE_CHECKING:
    from vdc.model.release import Release
    from vdc.model.topology import Topology
    from vdc.upgrade.path import UpgradePath
    from vdc.upgrade.plan import Plan
    from vdc.upgrade.route import Hop
    from vdc.upgrade.rules import Versions

From = Annotated[str, typer.Argument(metavar="FROM", help="The release that runs now: its name, or a file.")]
To = Annotated[str, typer.Argument(metavar="TO", help="The release that is to run: its name, or a file.")]
TopologyFile = Annotated[
    Path | None, typer.Option("--topology", metavar="FILE", help="Name the nodes of this data centre in the steps.")
]
PathName = Annotated[
    str | None, typer.Option("--path", metavar="NAME", help="The path, where several lead there; by default the first.")
]
Route = Annotated[
    bool, typer.Option("--route", help="Plan every upgrade of a shortest way, where none may lead there directly.")
]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def build_app() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Say what upgrades do, what forbids them, and which were tried.", no_args_is_help=True)
    app.callback()(_group)
    app.command("list")(list_)
    app.command("plan")(plan)
    app.command("coverage")(coverage)
    app.command("run")(upgrade_run.run)
    return app


def _group() -> None:
    """Say what upgrades do, what forbids them, and which were tried."""


def list_() -> None:
    """Print every path: between which releases, how, what changes, what users may notice, what tries it."""
    from vdc.upgrade.paths import paths
    from vdc.upgrade.words import list_text

    typer.echo(list_text(paths().values()), nl=False)


def coverage(context: typer.Context, as_json: Json = False) -> None:
    """Print which variants of which path were tried on this host: the last verdict of each, and its day."""
    import json
    from dataclasses import asdict

    from vdc.upgrade.attempts import latest
    from vdc.upgrade.coverage import read
    from vdc.upgrade.paths import paths
    from vdc.upgrade.words import coverage_text

    history = read(host_of(context).settings())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in latest(history).values()], indent=2, ensure_ascii=False))
        return
    typer.echo(coverage_text(tuple(paths().values()), history), nl=False)


def plan(  # noqa: PLR0913, PLR0917 - an argument for each option
    context: typer.Context,
    origin: From,
    target: To,
    topology_file: TopologyFile = None,
    path_name: PathName = None,
    route: Route = False,
    as_json: Json = False,
) -> None:
    """Print the steps of an upgrade, its point of no return, and what was tried of it. Nothing is touched.

    Exits 2 where a rule forbids it, with the rule and where it is written; and by way of which releases it can be done.
    """
    import json

    from vdc.upgrade.coverage import read
    from vdc.upgrade.words import plan_json, plan_text

    old, new = _release(origin), _release(target)
    topology = _topology(topology_file)
    plans = _plans(old.name, new.name, _releases(old, new), path_name, topology, route)
    history = read(host_of(context).settings())
    if as_json:
        typer.echo(json.dumps([plan_json(each, history) for each in plans], indent=2, ensure_ascii=False))
        return
    typer.echo("\n".join(plan_text(each, history) for each in plans), nl=False)


def _plans(
    old: str,
    new: str,
    releases: Mapping[str, Versions],
    path_name: str | None,
    topology: Topology | None,
    by_route: bool,
) -> Sequence[Plan]:
    """Return the plan of the upgrade, or of each upgrade of a way."""
    from vdc.upgrade.paths import paths
    from vdc.upgrade.plan import ForbiddenError, planned
    from vdc.upgrade.route import route, same_kind

    chosen = _path(paths(), old, new, path_name)
    if path_name is None and releases[old] == releases[new] and (chosen is None or old == new):
        raise InputError(f"{old} and {new} are the same in all components", hint=_besides(paths(), old, new))
    if not same_kind(releases[old], releases[new]):
        raise InputError(f"{old} and {new} are for clusters of different kinds: no upgrade makes one of the other")
    try:
        return [planned(old, new, releases, chosen, topology)]
    except ForbiddenError as error:
        way = route(old, new, releases, {(each.origin, each.target) for each in paths().values()})
        if way is None or len(way) < 2:
            hint = error.hint or _no_way(paths(), old, new)
            raise ForbiddenError(error.message, hint=hint) from error
        if not by_route:
            raise ForbiddenError(
                error.message, hint=f"go by way of {_stops(way)}: --route plans each upgrade"
            ) from error
    return [planned(one, next_, releases, _path(paths(), one, next_, None), topology) for one, next_ in way]


def _no_way(known: Mapping[str, UpgradePath], old: str, new: str) -> str:
    back = next((each.name for each in known.values() if (each.origin, each.target) == (new, old)), None)
    if back is None:
        return "no way over the releases there are, which `vdc release list` prints, leads there"
    return (
        f"while {back} is under way, `vdc upgrade run NAME {back} --back` takes nodes back, until the point of no "
        f"return that `vdc upgrade plan {new} {old}` tells; after that a backup is restored"
    )


def _stops(way: Sequence[Hop]) -> str:
    return " and ".join(hop[1] for hop in way[:-1])


def _path(known: Mapping[str, UpgradePath], old: str, new: str, name: str | None) -> UpgradePath | None:
    """Return the path of that name, or the first that leads from one release to the other."""
    fit = {each.name: each for each in known.values() if (each.origin, each.target) == (old, new)}
    if name is None:
        return next(iter(fit.values()), None)
    if name not in fit:
        there = f"there are {', '.join(fit)}" if fit else "there is none"
        raise InputError(f'no path "{name}" from {old} to {new}', hint=there)
    return fit[name]


def _besides(known: Mapping[str, UpgradePath], old: str, new: str) -> str | None:
    """Return what may be upgraded though the release stays, or else where one leads from it."""
    stay = [each for each in known.values() if (each.origin, each.target) == (old, new)]
    told = (f"{', '.join(map(str, each.changes))}: --path {each.name}" for each in stay)
    return f"what changes besides must be asked for: {'; '.join(told)}" if stay else _between(known, old)


def _between(known: Mapping[str, UpgradePath], name: str) -> str | None:
    targets = sorted({each.target for each in known.values() if each.origin == name})
    return f"paths lead from {name} to {', '.join(targets)}" if targets else None


def _release(text: str) -> Release:
    """Return a release by its name, or by its file."""
    from vdc.model.release_files import SUFFIX, read_release
    from vdc.model.releases import release

    return read_release(Path(text)) if text.endswith(SUFFIX) else release(text)


def _releases(*given: Release) -> Mapping[str, Versions]:
    from vdc.model.releases import catalogue
    from vdc.upgrade.rules import versions_of

    known = {**catalogue(), **{each.name: each for each in given}}
    return {name: versions_of(each) for name, each in known.items()}


def _topology(file: Path | None) -> Topology | None:
    from vdc.model.load import read_topology

    return None if file is None else read_topology(file)
