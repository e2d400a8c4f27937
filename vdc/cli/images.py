"""`vdc images`: building what servers boot, ahead of time."""

from __future__ import annotations

from typing import Annotated

import typer

from vdc.cli.context import need_root, pick, steps

Release = Annotated[
    str | None,
    typer.Argument(metavar="[RELEASE]", help="A release, such as debian-12; by default those all of packages."),
]


def build_app() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Build the images that servers boot.", no_args_is_help=True)
    app.callback()(_group)
    app.command("build")(build)
    return app


def _group() -> None:
    """Build the images that servers boot."""


def build(context: typer.Context, release: Release = None) -> None:
    """Build the images that the cache has not; `vdc up` does it too where it must."""
    settings = need_root(context)
    from vdc.host.images import ensure
    from vdc.plan.images import IMAGES

    told = steps()
    # what takes minutes to build or needs more than a Debian mirror, or serves to be compared with, is asked for
    usual = (name for name, image in IMAGES.items() if image.release is not None and image.release.only_packages)
    for each in usual if release is None else (pick("release", release, IMAGES),):
        ensure(each, settings, told)
        typer.echo(f"{each}: {IMAGES[each].directory(settings.cache_dir)}")
