"""Bringing a checkpoint to life: as another data centre beside the first, or in its place.

A fork has the identities of what it was taken from (UUIDs, MACs, addresses, keys), because its guests remember them;
it has a namespace of its own, so neither can reach the other.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from vdc.datacenter import ownership
from vdc.datacenter.checkpoint import KEPT, Checkpoint, verify
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.waking import tell
from vdc.host import accelerator, disks, engine, firmware, freezer, preflight, volumes
from vdc.host.engine import Build
from vdc.host.locks import shared
from vdc.plan.emulation import Flash
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk, DataDisk, IgnitionFile, Nvram, Overlay, SeedDisk, VolumeDisk
from vdc.plan.resources.processes import Bird, Domain
from vdc.settings import Settings
from vdc.steps import Steps

_FROM_CHECKPOINT: Final = (Overlay, DataDisk, ConfigDisk, VolumeDisk, SeedDisk, IgnitionFile, Nvram, Domain)
_WORKERS: Final = 4


def fork(
    checkpoint: Checkpoint, name: str, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False
) -> LiveDataCenter:
    """Bring a checkpoint to life as the data centre `name`; return when its clocks are right and it routes.

    For `retain` and `tied` see `create`.

    Raises:
        InputError: `name` is up already, or is not a name.
        DamagedError: the checkpoint is damaged.
        HostError: it does not fit.
        BuildError, WaitTimeout: naming the resource or the fact. What was built is rolled back, unless `retain`.
    """
    plan = _checked_plan(checkpoint, name, settings)
    with ThreadPoolExecutor(1) as pool, shared(checkpoint.directory):
        # nothing of it is used before that is known
        checked = pool.submit(verify, checkpoint).result
        create = partial(ownership.create, plan, settings, steps, retain=retain, tied=tied)
        return _wake_up(checkpoint, checked, plan, create)


def restore(checkpoint: Checkpoint, settings: Settings, steps: Steps, *, tied: bool = False) -> LiveDataCenter:
    """Put a data centre back to where it was when the checkpoint was taken, whatever became of it since.

    Raises: as `fork`. A damaged checkpoint, or one that does not fit, leaves the data centre as it is.
    """
    name = checkpoint.name
    if name not in ownership.instances(settings):
        return fork(checkpoint, name, settings, steps, tied=tied)
    with steps.step("check the checkpoint"):
        verify(checkpoint)
    plan = _checked_plan(checkpoint, name, settings)
    with shared(checkpoint.directory):
        ownership.down(name, settings, steps)
        create = partial(ownership.create, plan, settings, steps, tied=tied)
        return _wake_up(checkpoint, lambda: None, plan, create)


def _checked_plan(checkpoint: Checkpoint, name: str, settings: Settings) -> Plan:
    plan = forked_plan(checkpoint.plan, name, settings)
    preflight.check(plan, settings)
    return plan


def _wake_up(
    checkpoint: Checkpoint, checked: Callable[[], None], plan: Plan, create: Callable[..., LiveDataCenter]
) -> LiveDataCenter:
    def build(dc: LiveDataCenter) -> dict[str, float]:
        start = time.monotonic()
        _build(dc, checkpoint, checked, Build(plan=plan, settings=dc.settings, secrets=dc.secrets))
        return {"up": round(time.monotonic() - start, 2)}

    return create(build=build)


def forked_plan(plan: Plan, name: str, settings: Settings) -> Plan:
    """Return the plan of a data centre `name` with the identities of the one that `plan` is of.

    A host that has become slower is given more time; what its guests were told of timers stays.
    """
    identity = plan.context.identity or plan.instance
    measured = accelerator.cached(settings)
    context = replace(
        plan.context,
        instance=name,
        state_dir=settings.state_dir,
        identity=None if name == identity else identity,
        slowness=max(plan.context.slowness, measured.slowness if measured else 0.0),
    )
    return make_plan(plan.topology, context)


def adopted(xml: str, moved: Mapping[Path, Path]) -> str:
    """Return domain XML with the files of other folders: `moved` is old folder to new.

    A path is an attribute or a text of its own, or follows `=` in an argument of QEMU's.
    """
    pattern = re.compile(rf"(^|=)({'|'.join(re.escape(str(old)) for old in moved)})(?=/)")

    def new(text: str) -> str:
        return pattern.sub(lambda found: f"{found[1]}{moved[Path(found[2])]}", text)

    root = ET.fromstring(xml)  # noqa: S314 - libvirt's own answer
    for element in root.iter():
        element.text = element.text and new(element.text)
        for key, value in element.attrib.items():
            element.set(key, new(value))
    return ET.tostring(root, encoding="unicode")


def _moved(old: Plan, new: Plan) -> dict[Path, Path]:
    """Return the folders that a data centre's files were in, and those that its fork's are in."""
    volumes = (
        (Path(before.path).parent, Path(after.path).parent)
        for before, after in zip(_volumes(old), _volumes(new), strict=True)
    )
    run_directories = (old.context.run_directory, new.context.run_directory)
    return dict((*(pair for pair in volumes if pair[0].parent != run_directories[0]), run_directories))


def _volumes(plan: Plan) -> tuple[VolumeDisk, ...]:
    return tuple(resource for resource in plan.resources if isinstance(resource, VolumeDisk))


def _build(dc: LiveDataCenter, checkpoint: Checkpoint, checked: Callable[[], None], build: Build) -> None:
    """Build the fabric, wake the servers, and let them meet their routers only when they know that these are new.

    Else each end takes the other's BFD session for the one that it remembers, drops its packets until that expires,
    and starts again when the other has just begun: they can go on like that for half a minute.
    """
    meet_servers = {
        router.name for router in dc.topology.routers if any(session.peer_is_server for session in router.sessions)
    }

    def waits(resource: Resource) -> bool:
        return isinstance(resource, Bird) and resource.router in meet_servers

    with dc.steps.step("build the fabric"):
        engine.apply(build, only=lambda each: not isinstance(each, _FROM_CHECKPOINT) and not waits(each))
    with dc.steps.step("check the checkpoint"):
        checked()
    with dc.steps.step("wake the servers"):
        for folder in KEPT:
            if (checkpoint.directory / folder).exists():
                shutil.copytree(checkpoint.directory / folder, dc.run_directory / folder)
        _wake(dc, checkpoint)
        engine.apply(build, only=waits)
    with dc.steps.step("wait for everything to converge"):
        wait_converged(dc)


def _wake(dc: LiveDataCenter, checkpoint: Checkpoint) -> None:
    """Wake all servers standing still, then let all go on at once, then tell them what has changed."""
    (dc.run_directory / "consoles").mkdir(exist_ok=True)
    moved = _moved(checkpoint.plan, dc.plan)

    def wake(server: LiveMachine) -> None:
        xml = adopted(checkpoint.xml(server.name), moved)
        _take_variables(firmware.flash_of(xml), checkpoint)
        server.libvirt.define(xml)
        process_file = dc.plan.context.process_file(server.name)
        freezer.wake(server.libvirt, server.name, xml, checkpoint.frozen(server.name), process_file)

    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda resource: _take_over(resource, checkpoint, dc.run_directory), dc.plan.resources))
        list(pool.map(wake, dc.servers.values()))
        for server in dc.servers.values():
            server.libvirt.resume(server.name)
    tell(dc.servers.values())


def _take_variables(flash: Flash, checkpoint: Checkpoint) -> None:
    """Take over the variables of a server's firmware, also where it was given that later than the plan was made."""
    if flash.variables is not None:
        path = Path(flash.variables)
        path.parent.mkdir(parents=True, exist_ok=True)
        disks.copy_plain(checkpoint.disk(path.name), path)


def _take_over(resource: Resource, checkpoint: Checkpoint, run_directory: Path) -> None:
    match resource:
        case Overlay(path=path) | DataDisk(path=path):
            disks.create_overlay_on(Path(path), checkpoint.disk(Path(path).name), "qcow2")
        case VolumeDisk():
            target = volumes.prepare(resource, run_directory)
            if resource.content == "raw":
                disks.copy_plain(checkpoint.disk(target.name), target)
            else:
                disks.create_overlay_on(target, checkpoint.disk(target.name), "qcow2")
        case ConfigDisk(path=path) | SeedDisk(path=path) | IgnitionFile(path=path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            disks.copy_plain(checkpoint.disk(Path(path).name), Path(path))
        case _:
            pass
