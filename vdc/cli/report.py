"""`vdc report`: make the report of a run again, or tell how two runs differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vdc.errors import InputError, PrivilegeError

Run = Annotated[str, typer.Argument(metavar="NAME|DIR", help="A run: its name, as in runs/NAME, or its directory.")]

Picture = Annotated[
    Path | None,
    typer.Option("--picture", metavar="FILE.png", help="Draw its top, too, with the Chromium or Chrome of this host."),
]

_SHOW = "show"


class _Reports(TyperGroup):
    """`vdc report NAME` is `vdc report show NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - those of the base class
        """Return the command that is meant."""
        if args and args[0] not in self.commands:
            args = [_SHOW, *args]
        return super().resolve_command(ctx, args)


def build_app() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(
        cls=_Reports,
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Make the report of a run again (`vdc report NAME|DIR`), or compare two runs.",
    )
    app.command(_SHOW)(show)
    app.command("diff")(diff)
    return app


def show(context: typer.Context, run: Run, picture: Picture = None) -> None:
    """Make report.html of a run again from what it left; print where it is.

    It is one file, which needs no network: open it in any browser.
    """
    from vdc.cli.context import host_of
    from vdc.cli.scenarios import hand_over
    from vdc.report.picture import draw
    from vdc.report.stored import REPORT, load, save

    directory = directory_of(run)
    try:
        save(load(directory), directory)
    except PermissionError as error:
        raise PrivilegeError(
            f"{error.filename} cannot be written", hint=f"sudo {context.command_path} {run}"
        ) from error
    if host_of(context).is_root and directory.parent.name == "runs":
        hand_over(directory)
    if picture is not None:
        draw(directory / REPORT, picture.absolute())
    typer.echo(directory / REPORT)


def diff(before: Run, after: Run) -> None:
    """Tell what changed from one run to another, as Markdown.

    Outcomes, scenarios that came and went, outages and durations that differ by more than 30 %, versions.
    """
    from vdc.report.compare import render_difference
    from vdc.report.stored import load

    typer.echo(render_difference(load(directory_of(before)), load(directory_of(after))), nl=False)


def directory_of(run: str) -> Path:
    """Return the directory of a run; raises InputError with the names of those there are."""
    found = next((path for path in (Path(run), Path("runs", run)) if path.is_dir()), None)
    if found is not None:
        return found
    there = sorted(path.parent.name for path in Path("runs").glob("*/report.json"))
    raise InputError(f"no run {run!r}", hint=f"there is {', '.join(there)}" if there else "`vdc test` makes one")
