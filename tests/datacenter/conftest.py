"""Data centres of guests in memory: what freezes and stores them is real, libvirt and QEMU are not."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import BuildError
from vdc.host.libvirtd import Connection
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.settings import Settings
from vdc.steps import Steps

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"
MEMORY = 4 << 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With an image of every release in the cache, as far as anybody here looks at it."""
    made = Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    for image in IMAGES.values():
        image.directory(made.cache_dir).mkdir(parents=True)
        image.manifest(made.cache_dir).write_text(json.dumps({"name": image.name}))
    return made


@pytest.fixture
def plan(settings: Settings) -> Plan:
    """Of three tiny servers."""
    context = PlanContext(
        instance="a", state_dir=settings.state_dir, cache_dir=settings.cache_dir, accelerator="tcg", slowness=1.0
    )
    topology = expand(load(SMALL))
    return make_plan(
        replace(topology, servers=tuple(replace(each, memory=MEMORY) for each in topology.servers)), context
    )


def make_overlay(path: Path, backing: Path) -> Path:
    """Write the head of a qcow2 file, by the book (QEMU, docs/interop/qcow2.txt), and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = os.fsencode(backing)
    path.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 112, len(name)).ljust(112, b"\0") + name)
    return path


def address_of(memory: mmap.mmap) -> int:
    """Return where in this process it is."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


@dataclass
class Guests:
    """Guests that run, whose memory is this process's, and a libvirt that does to them what it is told.

    `refusals` are what it refuses: a verb or a command of QEMU, to a guest. `told` are the scripts that guests ran.
    """

    states: dict[str, str]
    memories: Mapping[str, mmap.mmap]
    refusals: frozenset[tuple[str, str]] = frozenset()
    stood_still: list[frozenset[str]] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    def state(self, name: str) -> str:
        return self.states[name]

    def suspend(self, name: str) -> None:
        self._obey("suspend", name)
        self.states[name] = "paused"

    def resume(self, name: str) -> None:
        self._obey("resume", name)
        self.states[name] = "running"

    def memory(self, name: str) -> int:
        return len(self.memories[name])

    def xml(self, name: str) -> str:
        return f"<domain><name>{name}</name></domain>"

    def monitor(self, name: str, command: str, arguments: Mapping[str, object]) -> object:
        """Write devices, or tell where the memory is."""
        self._obey(command, name)
        if command == "xen-save-devices-state":
            self.stood_still.append(frozenset(each for each, state in self.states.items() if state == "paused"))
            Path(str(arguments["filename"])).write_text(f"devices of {name}")
            return {}
        assert (command, arguments) == ("human-monitor-command", {"command-line": "gpa2hva 0"})
        return f"Host virtual address for 0x0 (pc.ram) is {address_of(self.memories[name]):#x}\r\n"

    def _obey(self, verb: str, name: str) -> None:
        if (verb, name) in self.refusals:
            raise BuildError(f"domain:{name}", f"{verb}: refused")


@pytest.fixture
def guests(plan: Plan) -> Guests:
    """Each with its name in its memory, twice, and zeros between and after."""
    memories = {server.name: mmap.mmap(-1, MEMORY) for server in plan.topology.servers}
    for name, memory in memories.items():
        for offset in (0, 2 << 20):
            memory.seek(offset)
            memory.write(name.encode())
    return Guests(dict.fromkeys(memories, "running"), memories)


@pytest.fixture
def dc(plan: Plan, settings: Settings, guests: Guests, monkeypatch: pytest.MonkeyPatch) -> LiveDataCenter:
    """Running, with disks and secrets."""

    def run_first(server: LiveMachine, script: Callable[[], str]) -> None:
        assert guests.states[server.name] == "running"
        guests.told[server.name] = script()

    monkeypatch.setattr(LiveMachine, "run_first", run_first)
    context = plan.context
    made = LiveDataCenter(plan=plan, settings=settings, steps=Steps())
    for name in guests.states:
        for path in (context.root_disk(name), context.data_disk(name)):
            make_overlay(path, IMAGES["debian-12"].root(context.cache_dir))
        context.config_disk(name).write_text(f"config of {name}")
        context.process_file(name).parent.mkdir(parents=True, exist_ok=True)
        context.process_file(name).write_text(str(os.getpid()))
    (made.run_directory / "secrets").mkdir()
    (made.run_directory / "secrets" / "id_ed25519").write_text("a key")
    made.__dict__["servers"] = {
        spec.name: LiveMachine(
            spec=spec,
            plan=plan,
            libvirt=cast(Connection, guests),
            recorder=made.recorder,
            slowness=1.0,
            unpack=lambda wanted: settings.cache_dir / wanted.digest,
        )
        for spec in plan.topology.servers
    }
    return made
