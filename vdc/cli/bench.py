"""`vdc bench`: how long building and taking down take here, beside what two cores without KVM should do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, steps
from vdc.cli.topology import read_topology

if TYPE_CHECKING:
    from vdc.settings import Settings

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]…", help="Topology files.")]

_FILES = (Path("topologies/fabric.yml"), Path("topologies/small.yml"))
_FABRIC_UP, _SERVERS_UP, _DOWN = 3.0, 90.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured duration and what it should stay below, in seconds."""

    what: str
    seconds: float
    expected: float


def bench(context: typer.Context, files: Files = None) -> None:
    """Measure how long up and down take.

    Images are built and the accelerator is probed before; nothing else should run on the host meanwhile.
    """
    settings = need_root(context)
    from vdc.cli.render import table

    figures = [figure for file in files or _FILES for figure in _measure(file, settings)]
    rows = [(item.what, f"{item.seconds:.1f} s", f"{item.expected:.0f} s") for item in figures]
    typer.echo(table(("what", "took", "expected on 2 cores without KVM"), rows))


def _measure(file: Path, settings: Settings) -> Iterator[Figure]:
    from vdc.datacenter.lifecycle import down, prepare, up

    told = steps()
    plan = prepare(read_topology(file), f"bench-{file.stem}"[:20].rstrip("-"), settings, told)
    start = time.monotonic()
    up(plan, settings, told)
    built = time.monotonic()
    down(plan.instance, settings, told)
    ended = time.monotonic()
    expected = _SERVERS_UP if plan.topology.servers else _FABRIC_UP
    yield Figure(what=f"{file.name} up", seconds=built - start, expected=expected)
    yield Figure(what=f"{file.name} down", seconds=ended - built, expected=_DOWN)
