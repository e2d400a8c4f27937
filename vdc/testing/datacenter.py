"""A data centre in memory: implements `vdc.datacenter.api`, follows the routing model, lies when told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from vdc.history import Recorder
from vdc.model.topology import Address, Topology
from vdc.steps import Steps
from vdc.testing.devices import FakeClient, FakeMachine, FakeRouter
from vdc.testing.lies import Lie
from vdc.testing.wires import FakeWire
from vdc.testing.world import World


class FakeDataCenter:
    """An instance of `topology` that writes its history to `run_directory`; nothing in it takes time."""

    def __init__(self, topology: Topology, run_directory: Path, *, lies: Collection[Lie] = ()) -> None:
        self.world = World(topology, lies)
        self._directory = run_directory
        self._recorder = Recorder(run_directory / "history.jsonl")
        self._steps = Steps(self._recorder)
        self._dirty: str | None = None
        self._servers = {spec.name: FakeMachine(spec.name, self.world) for spec in topology.servers}
        self._routers = {spec.name: FakeRouter(spec.name, self.world) for spec in topology.routers}
        self._externals = {spec.name: FakeClient(spec.name, self.world) for spec in topology.externals}

    @property
    def name(self) -> str:
        """The instance name: that of the topology."""
        return self.topology.name

    @property
    def topology(self) -> Topology:
        """What it was built from."""
        return self.world.topology

    @property
    def servers(self) -> Mapping[str, FakeMachine]:
        """Every server, by name."""
        return self._servers

    @property
    def routers(self) -> Mapping[str, FakeRouter]:
        """Every router, by name."""
        return self._routers

    @property
    def externals(self) -> Mapping[str, FakeClient]:
        """Every client outside, by name."""
        return self._externals

    def drop(self, key: str, lost: Mapping[str, Sequence[Address]]) -> None:
        """Lose all between devices and these addresses, in both directions; one such thing at a time."""
        del key
        for device, addresses in lost.items():
            self.world.block(device, addresses)

    def undrop(self, key: str, devices: Sequence[str]) -> None:
        """Lose nothing any more."""
        del key
        for device in devices:
            self.world.block(device, ())

    def wire(self, device: str, interface: str) -> FakeWire:
        """Return a cable; that there is one is not looked at."""
        return FakeWire(device, interface, self.world)

    @property
    def slowness(self) -> float:
        """0: what does not hold at the first look never will."""
        return 0.0

    @property
    def steps(self) -> Steps:
        """Steps, written to the history."""
        return self._steps

    @property
    def recorder(self) -> Recorder:
        """The history."""
        return self._recorder

    @property
    def run_directory(self) -> Path:
        """Where the history is."""
        return self._directory

    def mark_dirty(self, reason: str) -> None:
        """Remember the first reason."""
        self._dirty = self._dirty or reason

    def dirty(self) -> str | None:
        """Return the first reason, or None."""
        return self._dirty
