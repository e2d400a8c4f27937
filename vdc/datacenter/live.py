"""A running data centre, as its run directory and the host tell: nothing here is remembered elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from vdc.datacenter import hearing
from vdc.datacenter.machine import STRUCK, LiveMachine
from vdc.datacenter.router import LiveClient, LiveRouter
from vdc.datacenter.wire import LiveWire, wire_of
from vdc.errors import DirtyError
from vdc.history import Recorder
from vdc.host import artifacts, cpu, drops, engine, impairments, leftovers, libvirtd, netlink
from vdc.host.drops import Sender
from vdc.host.ears import Ear
from vdc.host.secrets import Secrets
from vdc.model.ip import Address
from vdc.model.release import Unpacked
from vdc.model.topology import Topology
from vdc.plan.bird import router_config
from vdc.plan.plan import Plan
from vdc.plan.resources.network import DefaultRoute, Impairment
from vdc.plan.resources.processes import Bird
from vdc.settings import Settings
from vdc.steps import Steps

UP, DIRTY, HISTORY = "up.json", "dirty", "history.jsonl"
"""Files of a run directory besides the plan: how long it took to be up, why it must not be trusted, what happened."""

_LOCK = ".lock"


@dataclass(frozen=True, kw_only=True, repr=False)
class LiveDataCenter:
    """Implements `vdc.datacenter.api.DataCenter`."""

    plan: Plan
    settings: Settings
    steps: Steps

    def __repr__(self) -> str:
        return f"<data centre {self.name}>"

    @property
    def name(self) -> str:
        """The instance name."""
        return self.plan.instance

    @property
    def topology(self) -> Topology:
        """What it was built from."""
        return self.plan.topology

    @property
    def slowness(self) -> float:
        """How slow the host was when the data centre was planned."""
        return self.plan.context.slowness

    @property
    def run_directory(self) -> Path:
        """Where its consoles, logs and secrets are."""
        return self.plan.context.run_directory

    @property
    def recorder(self) -> Recorder:
        """The history of this data centre."""
        return Recorder(self.run_directory / HISTORY)

    @property
    def secrets(self) -> Secrets:
        """Its keys."""
        return Secrets(directory=self.run_directory / "secrets")

    @cached_property
    def servers(self) -> Mapping[str, LiveMachine]:
        """Every server, by name."""
        if not self.topology.servers:
            return {}
        connection = libvirtd.connect(engine.libvirt_uri(self.plan))
        return {
            spec.name: LiveMachine(
                spec=spec,
                plan=self.plan,
                libvirt=connection,
                recorder=self.recorder,
                slowness=self.slowness,
                unpack=self._unpacked,
            )
            for spec in self.topology.servers
        }

    @cached_property
    def routers(self) -> Mapping[str, LiveRouter]:
        """Every router, by name."""
        routes = {each.netns: each for each in self.plan.resources if isinstance(each, DefaultRoute)}
        return {
            spec.name: LiveRouter(
                spec=spec,
                daemon=self._bird(spec.name),
                recorder=self.recorder,
                servers=lambda: self.servers,
                configure=partial(router_config, spec, self.topology, self.plan.context),
                unpack=self._unpacked,
                default_route=routes.get(self.plan.context.device_netns(spec.name)),
            )
            for spec in self.topology.routers
        }

    def _unpacked(self, wanted: Unpacked) -> Path:
        return artifacts.unpacked(wanted, self.settings, self.steps)

    @cached_property
    def externals(self) -> Mapping[str, LiveClient]:
        """Every client outside the border, by name."""
        context = self.plan.context
        return {
            each.name: LiveClient(name=each.name, netns=context.device_netns(each.name))
            for each in self.topology.externals
        }

    def drop(self, key: str, lost: Mapping[str, Sequence[Address]]) -> None:
        """Lose all that devices send to these addresses."""
        drops.drop([self._sender(device, addresses) for device, addresses in lost.items()], key)

    def undrop(self, key: str, devices: Sequence[str]) -> None:
        """Undo what `drop` did with this key."""
        drops.undo([self._sender(device) for device in devices], key)

    def heard(self, pairs: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Return those pairs of devices of which packets of the first come to the second."""
        ears = {name: self._sender(name) for _, name in pairs}
        return hearing.heard(self, pairs, {name: Ear(netns=at.netns, taps=at.taps) for name, at in ears.items()})

    def leftovers(self) -> tuple[str, ...]:
        """Return what faults have left on this host, each with its place."""
        context = self.plan.context
        wires = [each for each in self.plan.resources if isinstance(each, Impairment)]
        queued = {(each.netns, name) for each in wires for name in (each.interface, impairments.queue_of(each))}
        names = (context.netns, *netlink.namespaces(f"{context.netns}."))
        return (
            *leftovers.leftovers(names, queued),
            *(f"cgroup {each}" for each in cpu.groups(self.name)),
            *(f"{name}: {each} beneath a disk" for name, server in self.servers.items() for each in server.beneath()),
            *(f"file {path}" for path in (self.run_directory / STRUCK).glob("*")),
            *(f"{name}: another configuration of BIRD" for name, each in self.routers.items() if each.announces()),
        )

    def netns(self, device: str) -> str:
        """Return the network namespace of a router or of a client outside."""
        return self.plan.context.device_netns(device)

    def wire(self, device: str, interface: str) -> LiveWire:
        """Return the cable of an interface. Raises InputError: there is no such device or interface."""
        return wire_of(self.topology, self.plan.context, device, interface)

    def mark_dirty(self, reason: str) -> None:
        """Remember, for every process, that the data centre is not what it should be."""
        (self.run_directory / DIRTY).write_text(reason)

    def dirty(self) -> str | None:
        """Return why the data centre must not be trusted any more, or None."""
        path = self.run_directory / DIRTY
        return path.read_text() if path.exists() else None

    def _sender(self, device: str, lost: Sequence[Address] = ()) -> Sender:
        if not self.topology.has_server(device):
            return Sender(netns=self.plan.context.device_netns(device), lost=tuple(lost))
        taps = tuple(port.tap for port in self.topology.server(device).ports)
        return Sender(netns=self.plan.context.netns, lost=tuple(lost), taps=taps)

    def _bird(self, router: str) -> Bird:
        daemon = self.plan.resource(f"bird:{router}")
        assert isinstance(daemon, Bird)
        return daemon


def is_up(run_directory: Path) -> bool:
    """Return whether a data centre came up, since this host booted, and belongs to nobody who died."""
    try:
        up = json.loads((run_directory / UP).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return up["boot"] == boot_id() and (up["owner"] is None or up["owner"] == process_identity(up["owner"][0]))


def boot_id() -> str:
    """Return the boot ID of this host (random(4)): nothing that ran before it changed runs now."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process_identity(pid: int) -> list[int] | None:
    """Return a process's id and start time (proc(5), field 22), which no later process shares.

    None if it is gone, also if nobody has asked yet how it ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else [pid, int(fields[19])]


@contextmanager
def held(run_directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory, which building and taking down need; the kernel frees it on any death.

    The lock is of a file beside the directory, which comes and goes.

    Raises:
        DirtyError: another process holds it.
    """
    path = run_directory.with_name(f".{run_directory.name}{_LOCK}")
    handle = _open_lock(path)
    try:
        yield
    finally:
        # whoever opens it from now on makes another file; whoever has it open already sees that it is not the one
        path.unlink(missing_ok=True)
        os.close(handle)


def sweep_locks(folder: Path) -> None:
    """Remove the locks of a folder's run directories that nobody holds: one was killed that had just taken it down."""
    for path in folder.glob(f".*{_LOCK}"):
        with suppress(DirtyError), held(path.with_name(path.name.removeprefix(".").removesuffix(_LOCK))):
            pass


def _open_lock(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):  # whoever held it before has removed it
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
            os.close(handle)
        except BlockingIOError as error:
            os.close(handle)
            raise DirtyError(
                f"{path.name.removeprefix('.').removesuffix(_LOCK)} is being built or taken down by another process",
                hint="wait until it is done, or end that process",
            ) from error
