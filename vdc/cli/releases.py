"""`vdc release`: which version of every component a release has, where it comes from, and whether the cache has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import host_of, need_root, steps
from vdc.errors import VdcError

if TYPE_CHECKING:
    from vdc.host.artifacts import State
    from vdc.model.release import Component, Release
    from vdc.settings import Settings

Name = Annotated[str, typer.Argument(metavar="RELEASE", help="A release, such as kubernetes-1.20.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[RELEASE]...", help="Releases, such as kubernetes-1.20; by default all.")
]


def build_app() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Say what releases are made of, fetch that, and check it.", no_args_is_help=True)
    app.callback()(_group)
    app.command("list")(list_)
    app.command("show")(show)
    app.command("fetch")(fetch)
    app.command("verify")(verify)
    return app


def _group() -> None:
    """Say what releases are made of, fetch that, and check it."""


def list_(context: typer.Context) -> None:
    """Print every release: what it is built on, its Kubernetes, and what of it the cache has."""
    settings = host_of(context).settings()
    from vdc.host.artifacts import missing
    from vdc.host.images import complete
    from vdc.model.releases import catalogue
    from vdc.plan.images import IMAGES

    rows = [("release", "os", "kubernetes", "cache")]
    for name, release in catalogue().items():
        lacking = missing(release, settings)
        if not release.has_image:
            kept = f"lacks {', '.join(lacking)}" if lacking else "packages"
        else:
            kept = "image" if complete(IMAGES[name], settings.cache_dir) else f"lacks {', '.join((*lacking, 'image'))}"
        rows.append((name, release.os, release.kubernetes or "", kept))
    _table(rows)


def show(context: typer.Context, name: Name) -> None:
    """Print every component of a release: its version, where it comes from, and the digests of its files.

    Exact versions of Debian packages are known where the cache has the image.
    """
    settings = host_of(context).settings()
    from vdc.model.releases import release

    chosen = release(name)
    typer.echo(f"{chosen.name}: on {chosen.os}, from {chosen.file}")
    exact = _built_versions(chosen, settings)
    rows = [("component", "version", "from")]
    rows += [(each.name, _version(each, exact), each.kind) for each in chosen.components]
    _table(rows)
    for component in chosen.components:
        for line in _details(component):
            typer.echo(f"{component.name}: {line}")


def fetch(context: typer.Context, names: Names = None) -> None:
    """Fetch or build what releases have that is of no package; `vdc up` does it too where it must.

    One that cannot be had does not keep the others from being fetched; all such are told at the end.
    """
    settings = need_root(context)
    from vdc.host.artifacts import ensure

    told = steps()
    chosen = tuple(_chosen(names))
    failed: dict[str, VdcError] = {}
    for release in chosen:
        try:
            artifacts = ensure(release, settings, told)
        except VdcError as error:
            failed[release.name] = error
            continue
        size = sum(each.path.stat().st_size for each in artifacts)
        typer.echo(f"{release.name}: {len(artifacts)} files, {size >> 20} MiB")
    _expect_all(len(chosen), failed)


def _expect_all(number: int, failed: Mapping[str, VdcError]) -> None:
    """Pass if nothing failed. Raises the error of a lone release itself, else VdcError with all of them."""
    if number == 1:
        for alone in failed.values():
            raise alone
    if failed:
        error = VdcError(f"{len(failed)} of {number} releases cannot be had: {', '.join(failed)}")
        for name, reason in failed.items():
            error.add_note(f"{name}: {reason}")
        raise error


def verify(context: typer.Context, names: Names = None) -> None:
    """Read every fetched or built file of the cache, and files of this host; name each that is not what it should be.

    Exits 1 if any is damaged, or a file of this host is not there. What the cache lacks is no mistake: it is fetched
    where it is needed.
    """
    settings = host_of(context).settings()
    from vdc.host.artifacts import verify as states

    damaged = 0
    for release in _chosen(names):
        found = states(release, settings)
        damaged += sum(state.damaged for state in found)
        typer.echo(f"{release.name}: {_summary(found)}")
        for state in found:
            if state.wrong:
                typer.echo(f"  {state.component}: {state.name}: {state.wrong}")
    raise typer.Exit(1 if damaged else 0)


def _summary(states: Sequence[State]) -> str:
    if not states:
        return "all of packages"
    good = sum(not state.wrong for state in states)
    return f"{good} of {len(states)} files are as they should be"


def _chosen(names: Sequence[str] | None) -> Iterable[Release]:
    from vdc.model.releases import catalogue, release

    return [release(name) for name in dict.fromkeys(names)] if names else catalogue().values()


def _version(component: Component, exact: dict[str, str]) -> str:
    return exact.get(component.name) or component.version or "any"


def _built_versions(release: Release, settings: Settings) -> dict[str, str]:
    import json

    from vdc.plan.images import IMAGES

    manifest = IMAGES[release.name].manifest(settings.cache_dir)
    try:
        return dict(json.loads(manifest.read_text(encoding="utf-8"))["components"])
    except (FileNotFoundError, KeyError, ValueError):
        return {}


def _details(component: Component) -> Iterable[str]:
    for file in component.files:
        yield f"{file.name} {file.digest or 'cannot be read'} {file.url or file.path}"
    if component.source is not None:
        yield f"source {component.source.package} {component.version}, recipe {component.source.digest[:16]}"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
