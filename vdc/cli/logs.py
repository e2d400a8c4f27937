"""Where the logs of a data centre are, and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vdc.datacenter.api import DataCenter
from vdc.wait import ticks

_LOOK_EVERY = 0.2


def files(dc: DataCenter) -> dict[str, Path]:
    """Return the log of every server (its stamped console) and router (its BIRD's) that has one."""
    run = dc.run_directory
    found = {each.name: run / "consoles" / f"{each.name}.log" for each in dc.topology.servers}
    found |= {each.name: run / "bird" / f"{each.name}.log" for each in dc.topology.routers}
    return {name: path for name, path in found.items() if path.exists()}


def lines(path: Path, *, follow: bool = False) -> Iterator[str]:
    """Yield the lines of a log; with `follow`, those that are added too, for ever."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from file
        if follow:
            for _ in ticks(_LOOK_EVERY):
                yield from file
