"""`vdc bench`: how long building and taking down take here, beside what two cores without KVM should do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, steps
from vdc.cli.topology import read_topology

if TYPE_CHECKING:
    from vdc.plan.plan import Plan
    from vdc.settings import Settings
    from vdc.steps import Steps

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]…", help="Topology files.")]

_FILES = (Path("topologies/fabric.yml"), Path("topologies/small.yml"))
_EXPECTED = {"fabric": 3.0, "answering": 90.0, "down": 3.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured duration and what it should stay below, in seconds; `expected` is None where nothing is said."""

    what: str
    seconds: float
    expected: float | None


def bench(context: typer.Context, files: Files = None) -> None:
    """Measure how long up and down take.

    `fabric` is until the fabric has converged, `answering` until every server answers, `up` until everything has
    converged. Images are built and the accelerator is probed before; nothing else should run on the host meanwhile.
    """
    settings = need_root(context)
    from vdc.cli.render import table

    figures = [figure for file in files or _FILES for figure in _measure(file, settings)]
    rows = [
        (item.what, f"{item.seconds:.1f} s", "-" if item.expected is None else f"{item.expected:.0f} s")
        for item in figures
    ]
    typer.echo(table(("what", "took", "expected on 2 cores without KVM"), rows))


def instance_name(file: Path) -> str:
    """Return the name of the data centre that a topology file is measured with, whatever the file is called."""
    return f"bench-{re.sub('[^a-z0-9]+', '-', file.stem.lower())}"[:20].strip("-")


def _measure(file: Path, settings: Settings) -> Iterator[Figure]:
    from vdc.datacenter.lifecycle import prepare

    told = steps()
    plan = prepare(read_topology(file), instance_name(file), settings, told)
    for phase, seconds in _up_and_down(plan, settings, told).items():
        yield Figure(what=f"{file.name} {phase}", seconds=seconds, expected=_EXPECTED.get(phase))


def _up_and_down(plan: Plan, settings: Settings, told: Steps) -> dict[str, float]:
    """Build a data centre and take it down, also if interrupted; return the seconds of each phase."""
    from vdc.datacenter.lifecycle import down, seconds, up

    took: dict[str, float] = {}
    try:
        took |= seconds(up(plan, settings, told, tied=True))
    finally:
        start = time.monotonic()
        if took:
            down(plan.instance, settings, told)
    return {**took, "down": time.monotonic() - start}
