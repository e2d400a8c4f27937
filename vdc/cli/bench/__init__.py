"""`vdc bench`: what vdc promises of its speed, measured here, each figure beside what it is compared with."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.bench.figures import Figure, Outcome, outcomes_json, outcomes_text
from vdc.cli.context import need_root, pick, steps
from vdc.cli.render import table

if TYPE_CHECKING:
    from vdc.settings import Settings
    from vdc.steps import Steps

Rows = Annotated[
    list[str] | None, typer.Argument(metavar="[ROW]…", help="What to measure; by default all that is usual.")
]
List = Annotated[bool, typer.Option("--list", help="List the rows there are.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to FILE, too.")]


def bench(context: typer.Context, rows: Rows = None, listing: List = False, json_file: JsonFile = None) -> None:
    """Measure how fast data centres start, are saved, restored and forked, and how much memory they take.

    Takes some minutes, in which nothing else should run on the host. Exits 1 if a figure is missed or lacking.
    """
    if listing:
        from vdc.cli.bench.rows import ROWS

        typer.echo(table(("row", "what is measured"), [(name, row.what) for name, row in ROWS.items()]))
        return
    settings = need_root(context)
    from vdc.cli.bench.lab import open_lab
    from vdc.cli.bench.rows import ROWS

    usual = [name for name, row in ROWS.items() if row.usual]
    wanted = {pick("row", name, ROWS) for name in rows or usual}
    told = steps()
    outcomes: list[Outcome] = []
    try:
        with open_lab(settings, told) as lab:
            # in the order of the list: what some rows keep running must not disturb the others
            for name, row in ROWS.items():
                if name in wanted:
                    outcomes.append(measured(name, partial(row.measure, lab), told))
    finally:
        if outcomes:
            typer.echo(outcomes_text(outcomes))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({**_host(settings), **outcomes_json(outcomes)}, indent=1) + "\n")
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(1)


def measured(name: str, row: Callable[[], Iterable[Figure]], told: Steps) -> Outcome:
    """Return what a row measures; one that fails keeps the figures that it had."""
    figures: list[Figure] = []
    error = ""
    try:
        with told.step(f"measure {name}"):
            for figure in row():
                figures.append(figure)
    except Exception as caught:  # noqa: BLE001 - whatever it is, it is told, and the others go on
        traceback.print_exception(caught)
        error = f"{type(caught).__name__}: {caught}"
    return Outcome(row=name, figures=tuple(figures), error=error)


def _host(settings: Settings) -> dict[str, object]:
    from vdc.host import accelerator

    found = accelerator.cached(settings)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "accelerator": found.kind if found else None,
        "slowness": found.slowness if found else None,
    }
