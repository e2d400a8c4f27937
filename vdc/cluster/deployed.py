"""The deployed state: a data centre with a cluster on it, made once and kept as a checkpoint in the cache.

It is known by a digest of all that goes into it, so a change of any of that makes another one. Who needs it first
builds it, and goes on with what was built, while others wait; from then on it is woken up.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

import vdc
from vdc.cluster.script import commands_digest
from vdc.datacenter import checkpoint, checkpoint_stores
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import DamagedError
from vdc.host import accelerator
from vdc.host.locks import exclusive
from vdc.model.topology import Topology
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan
from vdc.settings import Settings
from vdc.steps import Steps

KEPT: Final = 3
"""How many deployed states stay in the cache: those that were used last, and those that a data centre lives on."""

_SOURCES: Final = frozenset({".py", ".j2"})

LOOKING_ON: Final = frozenset(
    {"cli", "evidence", "faults", "observe", "pytest_plugin", "report", "rolling", "testing", "upgrade"}
)
"""The parts of vdc above this one: what they do is done to a deployed state, and is not in it."""


class Store(Protocol):
    """What keeps checkpoints: `vdc.datacenter.checkpoint`, or a test's own."""

    def load(self, directory: Path) -> Checkpoint | None:
        """Return the checkpoint in a directory, if there is one."""

    def write(self, dc: LiveDataCenter, directory: Path) -> Checkpoint:
        """Freeze a data centre into a directory that is not there, and let it go on."""

    def settle(self, dc: LiveDataCenter) -> None:
        """Wait until a data centre that goes on is as it was before it stood still."""

    def discard(self, directory: Path) -> None:
        """Remove a checkpoint, whole or damaged."""

    def prune(self, folder: Path, keep: int) -> None:
        """Discard all but the last used."""


def start(
    directory: Path,
    steps: Steps,
    *,
    build: Callable[[], LiveDataCenter],
    wake: Callable[[Checkpoint], LiveDataCenter],
    store: Store = checkpoint,
) -> LiveDataCenter:
    """Return a running data centre in the deployed state that is kept in `directory`.

    It is what `wake` makes of the checkpoint there; where that is missing or damaged, it is what `build` returns, and
    is saved. Raises what these raise.
    """
    with suppress(DamagedError):
        if (found := store.load(directory)) is not None:
            return wake(found)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(directory.with_name(f".{directory.name}.lock")):
        step = "build the deployed state"
        try:
            # whoever had to wait for the lock finds what another process built
            if (found := store.load(directory)) is not None:
                return wake(found)
            if directory.exists():
                step = f"rebuild the deployed state: {directory} is not whole"
        except DamagedError as error:
            step = f"rebuild the deployed state: {error.message}"
        with steps.step(step):
            if directory.exists():
                store.discard(directory)
            dc = build()
            with steps.step("save the deployed state"):
                store.write(dc, directory)
                store.settle(dc)
        store.prune(directory.parent, KEPT)
    return dc


def place(plan: Plan, deployer: str | None, settings: Settings) -> Path:
    """Return the directory of the deployed state of a plan; its image must be in the cache."""
    return checkpoint_stores.deployed_store(settings) / digest(plan.topology, deployer, facts(plan, settings))


def digest(topology: Topology, deployer: str | None, facts: Mapping[str, str]) -> str:
    """Return what a deployed state is known by: 16 hexadecimal digits of a SHA-256."""
    parts = {**facts, "topology": asdict(topology), "deployer": deployer}
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


def facts(plan: Plan, settings: Settings) -> dict[str, str]:
    """Return what a deployed state depends on besides topology and deployer.

    That is vdc itself without what only looks on, the image as it was built, since blocks of it are what disks do not
    hold, where disks look for it, the user's own commands, and what guests have seen of the machine that they run on.
    """
    return {
        **accelerator.hardware(plan.context.accelerator),
        "vdc": _source_digest(Path(vdc.__file__).parent),
        "image": IMAGES[plan.topology.release].manifest(settings.cache_dir).read_text(encoding="utf-8"),
        "script": commands_digest(plan.topology),
        "cache": str(settings.cache_dir),
        # its guests were told timers that suit the host: another one of about its speed may wake them
        "slowness": str(round(math.log2(max(plan.context.slowness, 0.25)))),
    }


def _source_digest(root: Path) -> str:
    inside = (path for path in root.rglob("*") if path.relative_to(root).parts[0] not in LOOKING_ON)
    sources = sorted(path for path in inside if path.suffix in _SOURCES)
    whole = hashlib.sha256()
    for path in sources:
        whole.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
