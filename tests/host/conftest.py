"""Tests on the real kernel: real namespaces, BIRD and guests, in a state directory of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter import lifecycle
from vdc.errors import InputError
from vdc.host import claims, netlink
from vdc.settings import STATE_DIR, Settings
from vdc.shell import Completed, run
from vdc.steps import Steps

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is marked `host`, and refuses to run as anybody but root."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.host)
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="tests/host needs root: namespaces, bridges and guests"))


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """A state directory of these tests' own, with known to the next run of them; images come from the cache."""
    mine = replace(Settings.from_environment(), state_dir=STATE_DIR.with_name("vdc-test"))
    # what a killed run of these tests left
    for name in lifecycle.instances(mine):
        lifecycle.down(name, mine, Steps())
    mine.state_dir.mkdir(parents=True, exist_ok=True)
    yield mine
    for name in lifecycle.instances(mine):
        lifecycle.down(name, mine, Steps())
    mine.state_dir.rmdir()


class Command:
    """The command line, run as a user runs it, on the tests' state directory."""

    def __init__(self, settings: Settings) -> None:
        self.environment = {"VDC_STATE_DIR": str(settings.state_dir), "VDC_CACHE_DIR": str(settings.cache_dir)}

    @property
    def argv(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "vdc.cli"]

    def __call__(self, *arguments: str, status: int = 0, timeout: float = 300.0) -> Completed:
        """Run it to its end and assert its exit code."""
        done = run([*self.argv, *arguments], timeout=timeout, check=False, env=self.environment)
        assert done.status == status, f"vdc {' '.join(arguments)}: exit {done.status}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def vdc(settings: Settings) -> Command:
    """The command line."""
    return Command(settings)


def traces(name: str, settings: Settings) -> list[str]:
    """Return everything on this host that belongs to a data centre: namespaces, processes, mounts, files, links."""
    directory = settings.state_dir / name
    found = [f"namespace {each}" for each in netlink.namespaces(f"vdc-{name}")]
    files = (directory, *settings.state_dir.glob(f".{name}.*"))
    found += [f"file {path}" for path in files if path.exists()]
    if claims.owner(name) is not None:
        found.append(f"claim of {name}")
    found += [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if f"{directory}/" in line]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{directory}/" in command:
                    found.append(f"process {entry.name}: {command}")
    return found


def root_links() -> set[str]:
    """Return the names of the links of the root namespace, which no data centre may touch."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


@pytest.fixture
def gone(settings: Settings) -> Iterator[list[str]]:
    """Names of data centres that a test may leave behind; what is left of them is removed after it."""
    names: list[str] = []
    yield names
    for name in names:
        with suppress(InputError):
            lifecycle.down(name, settings, Steps())
