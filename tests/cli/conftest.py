from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vdc.cli import main
from vdc.cli.context import Host

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    status: int
    out: str
    err: str


Vdc = Callable[..., Said]


@pytest.fixture
def vdc(capfd: pytest.CaptureFixture[str], short_path: Path) -> Vdc:
    """Run the command line as some user, on a host without data centres."""

    def run(*argv: str, uid: int = 1000) -> Said:
        environment = {"VDC_STATE_DIR": str(short_path / "state"), "VDC_CACHE_DIR": str(short_path / "cache")}
        status = main(argv, host=Host(euid=lambda: uid, environment=environment))
        captured = capfd.readouterr()
        return Said(status=status, out=captured.out, err=captured.err)

    return run
