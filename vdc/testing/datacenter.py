"""A data centre in memory: implements `vdc.datacenter.api`, follows the routing model, lies when told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from vdc.history import Recorder
from vdc.model.ip import Address
from vdc.model.topology import Topology
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
        self.world.journals.heard = lambda kind, source, data: self._recorder.record(kind, source, **data)
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
        """Lose all that devices send to these addresses."""
        for device, addresses in lost.items():
            self.world.lose(key, device, addresses)

    def undrop(self, key: str, devices: Sequence[str]) -> None:
        """Undo what `drop` did with this key."""
        for device in devices:
            self.world.lose(key, device, ())

    def heard(self, pairs: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Return those pairs of devices of which packets of the first come to the second."""
        return frozenset(pair for pair in pairs if self.world.hears(*pair))

    def leftovers(self) -> tuple[str, ...]:
        """Return the cables and the devices whose packets are disturbed or lost, and the disks that are not well."""
        wires = (f"{' '.join(place)}: disturbed" for place, ways in self.world.wires.items() if ways)
        disks = (f"{' '.join(place)}: not well" for place, ailments in self.world.disks.items() if ailments)
        packets = (f"{device}: loses packets" for (_, device), lost in self.world.lost.items() if lost)
        plugged = (f"{name}: the disk of {release} plugged in" for name, release in self.world.inserted.items())
        return (*wires, *packets, *disks, *plugged)

    def netns(self, device: str) -> str:
        """Return its name: there are no namespaces here."""
        return device

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
