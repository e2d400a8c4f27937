"""`vdc import`: other tools' files as a topology. Needs no root, and writes nothing but the topology."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.errors import InputError

if TYPE_CHECKING:
    from vdc.imports.documents import Source
    from vdc.imports.draft import Imported, Options

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of placemat v2, as they are given to it.")]
Menu = Annotated[Path, typer.Argument(metavar="FILE", help="A file of placemat-menu; its ipam-config is read too.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the topology there instead of printing it."),
]
Name = Annotated[str | None, typer.Option("--name", metavar="N", help="The topology's name; by default the file's.")]
Images = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="IMAGE=RELEASE", help="Run a release of vdc's instead of an image. Repeatable."),
]


def build_app() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help="Write other tools' data centres as topologies.", no_args_is_help=True)
    app.command("placemat")(placemat)
    app.command("menu")(menu)
    return app


def placemat(files: Files, output: Output = None, name: Name = None, image: Images = None) -> None:
    """Read resources of placemat v2 and print the equivalent topology.

    What has no equivalent is told on standard error, each with its place, and in a comment of the topology.
    """
    from vdc.imports.placemat import import_placemat

    sources = [_source(file) for file in files]
    _hand_over(import_placemat(sources, _options(files[0], output, name, image or [])), output)


def menu(file: Menu, output: Output = None, name: Name = None, image: Images = None) -> None:
    """Read a menu of placemat-menu and print the equivalent topology.

    What has no equivalent is told on standard error, each with its place, and in a comment of the topology.
    """
    from vdc.imports.menu import import_menu

    def beside(path: str) -> Source:
        return _source(file.parent / path)

    _hand_over(import_menu(_source(file), beside, _options(file, output, name, image or [])), output)


def _options(file: Path, output: Path | None, name: str | None, images: list[str]) -> Options:
    """Return the options; paths in imported files are relative to the folder of the first."""
    from vdc.imports.draft import Options

    target = output if output is not None else Path(file.with_suffix(".vdc.yml").name)

    def relocate(path: str) -> str:
        return path if Path(path).is_absolute() else os.path.relpath(file.parent / path, target.parent)

    return Options(name=name, releases=dict(map(_release, images)), relocate=relocate, target=str(target))


def _release(text: str) -> tuple[str, str]:
    image, equals, release = text.partition("=")
    if not (image and equals and release):
        raise InputError(f'--image: expected IMAGE=RELEASE, not "{text}"')
    return image, release


def _source(path: Path) -> Source:
    """Return a file. Raises InputError: it cannot be read, or is not text."""
    from vdc.imports.documents import Source, unreadable

    try:
        return Source(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(str(path), (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise unreadable(str(path), f"not UTF-8 text: {error.reason} at byte {error.start}") from error


def _hand_over(imported: Imported, output: Path | None) -> None:
    """Print or write the topology, and tell what it lacks."""
    for notice in imported.notices:
        typer.echo(str(notice), err=True)
    if output is None:
        typer.echo(imported.text, nl=False)
        return
    try:
        output.write_text(imported.text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {output}: {(error.strerror or str(error)).lower()}") from error
    typer.echo(f"{output}: written; {len(imported.notices)} notices on what has no equivalent or differs", err=True)
