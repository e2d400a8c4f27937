"""Data centres in memory, of which folders of the state directory tell other processes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import UP, LiveDataCenter, boot_id, process_identity
from vdc.errors import DamagedError, DirtyError, InputError
from vdc.host.claims import PLAN
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.testing import FakeCluster, FakeDataCenter, FakeKubernetes, Lie

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"
KUBERNETES = SMALL.with_name("k8s-small.yml")
WHOLE, DAMAGED = "whole", "damaged"
"""Files in the directory of a checkpoint."""


class Deployer:
    """Deploys nothing."""

    speaks = "etcd"

    def timers(self, dc: DataCenter) -> Mapping[str, str]:
        return {"patience": f"{dc.slowness:g} s (default 0 s)"} if dc.slowness else {}

    def check(self, topology: Topology) -> None:
        if topology.name == "refused":
            raise InputError("no cluster on this")

    def deploy(self, dc: DataCenter, *, retain: bool = False) -> Cluster:
        del retain
        return self.attach(dc)

    def begun(self, dc: DataCenter) -> bool:
        del dc
        return False

    def attach(self, dc: DataCenter) -> Cluster:
        assert isinstance(dc, FakeDataCenter)
        return FakeCluster(dc)


class KubernetesDeployer(Deployer):
    """Deploys nothing either, which is a Kubernetes."""

    speaks = "kubernetes"

    def attach(self, dc: DataCenter) -> Cluster:
        assert isinstance(dc, FakeDataCenter)
        return FakeKubernetes(dc)


@dataclass
class Life:
    """Implements `Lifecycle`, `Fork` and `Store`; what is asked of it is a line in the file `calls`."""

    state: Path
    calls: Path
    lies: Sequence[Lie] = ()
    error: BaseException | None = None
    undying: bool = False
    releases: tuple[str, ...] = ()
    boot: str | None = None
    made: dict[str, FakeDataCenter] = field(default_factory=dict)
    topology: Topology = field(default_factory=lambda: expand(load(SMALL)))

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def prepare(
        self,
        topology: Topology,
        name: str | None,
        settings: Settings,
        steps: Steps,
        *,
        releases: Sequence[str] = (),
        boot: Literal["fork", "cold"] | None = None,
    ) -> Plan:
        del settings, steps
        self.releases, self.boot, self.topology = tuple(releases), boot, topology
        return cast(Plan, SimpleNamespace(topology=topology, instance=name or topology.name))

    def up(
        self, plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False
    ) -> LiveDataCenter:
        del settings, steps, retain
        self._call(f"up {plan.instance}")
        made = self._make(plan.instance, tied=tied)
        if self.error is not None:
            raise self.error
        return made

    def attach(self, name: str, settings: Settings, steps: Steps) -> DataCenter:
        del settings, steps
        return self.made[name] if name in self.made else self._make(name, tied=False)

    def instances(self, settings: Settings) -> tuple[str, ...]:
        del settings
        return tuple(sorted(path.parent.name for path in self.state.glob(f"*/{PLAN}")))

    def down(self, name: str, settings: Settings, steps: Steps) -> None:
        del settings, steps
        if self.undying:
            raise DirtyError("it does not go")
        self._call(f"down {name}")
        shutil.rmtree(self.state / name)

    def gc(self, settings: Settings, steps: Steps) -> tuple[str, ...]:
        del settings, steps
        return ()

    def fork(
        self,
        checkpoint: Checkpoint,
        name: str,
        settings: Settings,
        steps: Steps,
        *,
        retain: bool = False,
        tied: bool = False,
    ) -> LiveDataCenter:
        del steps, retain
        if (checkpoint.directory / DAMAGED).exists():
            raise DamagedError("the checkpoint is damaged: ram")
        if name in self.instances(settings):
            raise InputError(f"{name} is up already")
        self._call(f"fork {name}")
        return self._make(name, tied=tied)

    def load(self, directory: Path) -> Checkpoint | None:
        whole = (directory / WHOLE).exists()
        return cast(Checkpoint, SimpleNamespace(directory=directory)) if whole else None

    def write(self, dc: LiveDataCenter, directory: Path) -> Checkpoint:
        self._call(f"write {dc.run_directory.name}")
        directory.mkdir()
        (directory / WHOLE).touch()
        return cast(Checkpoint, SimpleNamespace(directory=directory))

    def settle(self, dc: LiveDataCenter) -> None:
        """It never was away."""

    def discard(self, directory: Path) -> None:
        assert not self.instances(None), "a data centre lives on it"  # type: ignore[arg-type]
        self._call("discard")
        shutil.rmtree(directory)

    def prune(self, folder: Path, keep: int) -> None:
        assert len(list(folder.glob("[!.]*"))) <= keep

    def _make(self, name: str, *, tied: bool) -> LiveDataCenter:
        directory = self.state / name
        (directory / "consoles").mkdir(parents=True)
        (directory / "consoles" / "rack0-cs0.log").write_text("Kernel panic")
        (directory / PLAN).touch()
        owner = process_identity(os.getpid()) if tied else None
        took = {"boot": boot_id(), "owner": owner, "seconds": {"fabric": 1.5, "up": 30.0}}
        (directory / UP).write_text(json.dumps(took))
        self.made[name] = dc = FakeDataCenter(self.topology, directory, lies=self.lies)
        dc.recorder.start()
        return cast(LiveDataCenter, dc)

    def _call(self, what: str) -> None:
        with self.calls.open("a") as file:
            file.write(f"{what}\n")


class Silent:
    """Listens to steps; keeps what they were."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def started(self, name: str, depth: int) -> None:
        """Say nothing."""

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """Keep it."""
        del depth, seconds, error
        self.heard.append(name)
