"""What the command line of pytest asks for, and which of its processes this is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vdc.cluster.deployers import DEPLOYERS, default_deployer
from vdc.datacenter import lifecycle
from vdc.errors import VdcError
from vdc.model.load import read_topology
from vdc.model.topology import Topology
from vdc.pytest_plugin import LEFT_OUT, STARTED
from vdc.pytest_plugin import old as definition
from vdc.pytest_plugin.seeding import seed_of
from vdc.settings import Settings
from vdc.steps import Steps

STARTED_VARIABLE = "VDC_TEST_STARTED"
"""The environment variable in which `vdc test` says when it began: seconds of the monotonic clock, as text."""

_USAGE = "scenarios need a data centre: --topology FILE brings one up, --dc NAME uses a running one"
_NAME_LENGTH = 20  # of an instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for. Without a topology, `name` is a running data centre.

    `sets` are `name=value` for the variables of the topology file.
    `deploys` is whether any test asks for a cluster, `left_out` are tests that ask for another one, with the reason of
    each, `releases` are images that tests need besides the topology's,
    `old` is what the data centre is deployed by, instead of today's code: a git ref or a folder,
    `worker` is the name that pytest-xdist gave this process, `seed` is what all draws begin with, and `started` is when
    all began, in seconds of the monotonic clock.
    """

    topology: Path | None
    name: str | None
    run_directory: Path
    sets: tuple[str, ...] = ()
    keep: bool = False
    checkpoint: bool = True
    deployer: str = "etcd"
    deploys: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    old: str | None = None
    worker: str = ""
    seed: int = 0
    started: float = field(default_factory=time.monotonic)


def options(config: pytest.Config, items: Iterable[pytest.Item] = ()) -> Options:
    """Return the options of a run of these tests.

    Raises pytest.UsageError where they don't say which data centre is meant, or name a deployer or an old definition
    that there is not.
    """
    topology, running = config.getoption("--topology"), config.getoption("--dc")
    if (topology is None) == (running is None):
        raise pytest.UsageError(f"{_USAGE}; give one of them")
    name = running or config.getoption("--name")
    if config.getoption("--old") is not None:
        _expect_old(config.getoption("--old"))
    tests = tuple(items)
    return Options(
        topology=topology,
        name=name,
        run_directory=(config.getoption("--run-dir") or Path("runs") / (name or topology.stem)).absolute(),
        sets=tuple(config.getoption("--topology-set") or ()),
        keep=config.getoption("--keep"),
        checkpoint=not config.getoption("--no-checkpoint"),
        deployer=deployer_of(config),
        deploys=any("cluster" in getattr(test, "fixturenames", ()) for test in tests),
        left_out=config.stash.get(LEFT_OUT, {}),
        releases=tuple(
            sorted({name for test in tests for mark in test.iter_markers("releases") for name in mark.args})
        ),
        old=config.getoption("--old"),
        worker=worker_of(config),
        seed=seed_of(config),
        started=started(config),
    )


def _expect_old(old: str) -> None:
    try:
        definition.expect(old)
    except VdcError as error:
        raise pytest.UsageError(f"--old: {error}") from error


def deployer_of(config: pytest.Config) -> str:
    """Return the name of the deployer: the one that the command line names, or else what the topology says.

    A topology that cannot be read is told where it is used; until then it says nothing.

    Raises pytest.UsageError: there is no such deployer.
    """
    named: str | None = config.getoption("--deployer")
    if named is not None and named not in DEPLOYERS:
        raise pytest.UsageError(f"no deployer {named!r}; there is {', '.join(sorted(DEPLOYERS))}")
    return named or default_deployer(topology_of(config))


def topology_of(config: pytest.Config) -> Topology | None:
    """Return the topology that scenarios run on, or None where it cannot be read: that is told where it is used."""
    file, running = config.getoption("--topology"), config.getoption("--dc")
    try:
        if file is not None:
            return read_topology(file, tuple(config.getoption("--topology-set") or ()))
        return lifecycle.attach(running, Settings.from_environment(), Steps()).topology
    except (VdcError, ValueError):
        return None


def started(config: pytest.Config) -> float:
    """Return when all began: `vdc test` where that runs pytest, else pytest. Monotonic seconds.

    Raises pytest.UsageError where the environment variable holds something else.
    """
    told = os.environ.get(STARTED_VARIABLE)
    try:
        return config.stash.setdefault(STARTED, time.monotonic()) if told is None else float(told)
    except ValueError:
        raise pytest.UsageError(f"{STARTED_VARIABLE}={told!r} is not a time of the monotonic clock") from None


def worker_of(config: pytest.Config) -> str:
    """Return the name that pytest-xdist gave this process, or an empty text."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


def instance_name(name: str, worker: str) -> str:
    """Return what a worker's own data centre is called, which is not longer than names may be."""
    return f"{name[: _NAME_LENGTH - 1 - len(worker)]}-{worker}" if worker else name
