"""Bringing a checkpoint to life: as another data centre beside the first, or in its place.

A fork has the identities of what it was taken from (UUIDs, MACs, addresses, keys), because its guests remember them;
it has a namespace of its own, so neither can reach the other.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from vdc.datacenter import lifecycle
from vdc.datacenter.checkpoint import KEPT, Checkpoint, verify
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.host import disks, engine, preflight
from vdc.host.engine import Build
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources import ConfigDisk, DataDisk, Domain, Overlay, Resource
from vdc.settings import Settings
from vdc.steps import Steps

_FROM_CHECKPOINT: Final = (Overlay, DataDisk, ConfigDisk, Domain)


def fork(checkpoint: Checkpoint, name: str, settings: Settings, steps: Steps, *, tied: bool = False) -> LiveDataCenter:
    """Bring a checkpoint to life as the data centre `name`; return when its clocks are right and it routes.

    Raises:
        InputError: `name` is up already, or is not a name.
        HostError: the checkpoint is damaged, or does not fit; nothing was built.
        BuildError, WaitTimeout: naming the resource or the fact; what was built is rolled back.
    """
    with steps.step("check the checkpoint"):
        verify(checkpoint)
    return _wake_up(checkpoint, name, settings, steps, tied=tied)


def restore(checkpoint: Checkpoint, settings: Settings, steps: Steps, *, tied: bool = False) -> LiveDataCenter:
    """Put a data centre back to where it was when the checkpoint was taken, whatever became of it since.

    Raises: as `fork`; a damaged checkpoint leaves the data centre as it is.
    """
    with steps.step("check the checkpoint"):
        verify(checkpoint)
    if checkpoint.name in lifecycle.instances(settings):
        lifecycle.down(checkpoint.name, settings, steps)
    return _wake_up(checkpoint, checkpoint.name, settings, steps, tied=tied)


def _wake_up(checkpoint: Checkpoint, name: str, settings: Settings, steps: Steps, *, tied: bool) -> LiveDataCenter:
    plan = forked_plan(checkpoint.plan, name)
    preflight.check(plan, settings)

    def build(dc: LiveDataCenter) -> dict[str, float]:
        start = time.monotonic()
        _build(dc, checkpoint, Build(plan=plan, settings=settings, secrets=dc.secrets))
        return {"up": round(time.monotonic() - start, 2)}

    return lifecycle.create(plan, settings, steps, build, tied=tied)


def forked_plan(plan: Plan, name: str) -> Plan:
    """Return the plan of a data centre `name` with the identities of the one that `plan` is of."""
    context = replace(plan.context, instance=name, identity=plan.context.identity or plan.instance)
    return make_plan(plan.topology, context)


def adopted(xml: str, old: Path, new: Path) -> str:
    """Return the XML of a saved domain with its files in the run directory `new` instead of `old`.

    The chain of backing files is left out: libvirt finds it in the disks themselves.
    """
    root = ET.fromstring(xml)  # noqa: S314 - libvirt's own answer
    for disk in root.iterfind("devices/disk"):
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    for element in root.iter():
        for key, value in element.attrib.items():
            if value.startswith(f"{old}/"):
                element.set(key, str(new / Path(value).relative_to(old)))
    return ET.tostring(root, encoding="unicode")


def _build(dc: LiveDataCenter, checkpoint: Checkpoint, build: Build) -> None:
    for folder in KEPT:
        if (checkpoint.directory / folder).exists():
            shutil.copytree(checkpoint.directory / folder, dc.run_directory / folder)
    with dc.steps.step("build the fabric"):
        engine.apply(build, only=lambda resource: not isinstance(resource, _FROM_CHECKPOINT))
    with dc.steps.step("wake the servers"):
        for resource in build.plan.resources:
            _take_over(resource, checkpoint)
        _wake(dc, checkpoint)
    with dc.steps.step("wait for everything to converge"):
        wait_converged(dc)


def _take_over(resource: Resource, checkpoint: Checkpoint) -> None:
    match resource:
        case Overlay(path=path) | DataDisk(path=path):
            disks.create_overlay_on(Path(path), checkpoint.disk(Path(path).name), "qcow2")
        case ConfigDisk(path=path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkpoint.disk(Path(path).name), path)
        case _:
            pass


def _wake(dc: LiveDataCenter, checkpoint: Checkpoint) -> None:
    """Restore the memory of all servers, then let all go on at once, then tell them what time it is."""
    old, new = checkpoint.plan.context.run_directory, dc.run_directory
    (new / "consoles").mkdir(exist_ok=True)
    for server in dc.servers.values():
        image = checkpoint.memory(server.name)
        domain = dc.plan.resource(f"domain:{server.name}")
        assert isinstance(domain, Domain)
        server.libvirt.define(domain.xml)
        server.libvirt.restore(image, adopted(server.libvirt.saved_xml(image), old, new))
    for server in dc.servers.values():
        server.libvirt.resume(server.name)
    for server in dc.servers.values():
        server.step_clock()
