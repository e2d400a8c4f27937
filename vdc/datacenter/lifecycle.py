"""The life of a data centre: prepared, up, attached to, down, and cleaned up after a crash.

Ownership comes before creation: the run directory is made and holds the plan before anything else exists, and
everything else is either a file in it, a namespace whose name follows from the instance's, or a process in such a
namespace. So `down` needs nothing but the name, at any moment, after any death.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import PLAN, UP, LiveDataCenter, held
from vdc.errors import DirtyError, InputError
from vdc.host import accelerator, engine, images, netlink, preflight, processes
from vdc.host.engine import Build
from vdc.model.topology import Topology
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources import Domain
from vdc.settings import Settings
from vdc.steps import Steps


def prepare(topology: Topology, name: str | None, settings: Settings, steps: Steps) -> Plan:
    """Return the plan of a topology for this host: checked, its image in the cache, its accelerator probed.

    Raises:
        InputError: the name is not one, or such a data centre is up already.
        HostError: this host cannot hold it; nothing was built.
    """
    instance = name or topology.name
    draft = make_plan(topology, _context(instance, settings, "tcg", 1.0))
    if (draft.context.run_directory / UP).exists():
        raise InputError(f"{instance} is up already", hint=f"`vdc down {instance}`, or another --name")
    with steps.step("check the host"):
        preflight.check(draft, settings)
    if not topology.servers:
        return draft
    images.ensure(topology.release, settings, steps)
    with steps.step("probe the accelerator"):
        found = accelerator.probe(settings)
    return make_plan(topology, _context(instance, settings, found.kind, found.slowness))


def up(plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False) -> LiveDataCenter:
    """Build a data centre, and return when it routes as its topology says and every server answers.

    What failed is rolled back, unless `retain`.

    Raises:
        InputError: it is up already.
        BuildError, WaitTimeout: naming the resource or the fact, and the reason.
    """
    directory = plan.context.run_directory
    if (directory / UP).exists():
        raise InputError(f"{plan.instance} is up already", hint=f"`vdc down {plan.instance}`, or another --name")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with held(directory):
        if any(directory.iterdir()):
            with steps.step("clear what a crash left"):
                _remove(plan.instance, directory, keep_directory=True)
        with _rolled_back(plan, retain=retain):
            return _build(plan, settings, steps)


def attach(name: str, settings: Settings, steps: Steps) -> LiveDataCenter:
    """Return the handle of a data centre that another process built.

    Raises:
        InputError: there is none of this name; the hint names those there are.
    """
    path = settings.state_dir / name / PLAN
    if not path.exists():
        there = ", ".join(instances(settings)) or "none"
        raise InputError(f"no data centre {name!r}", hint=f"there are: {there}")
    return LiveDataCenter(plan=Plan.from_json(path.read_text()), settings=settings, steps=steps)


def down(name: str, settings: Settings, steps: Steps) -> None:
    """Take a data centre down, whole or in pieces: nothing of it is left.

    Raises:
        InputError: there is none of this name.
        DirtyError: another process is building it or taking it down.
    """
    directory = settings.state_dir / name
    if name not in instances(settings):
        raise InputError(f"no data centre {name!r}", hint=f"there are: {', '.join(instances(settings)) or 'none'}")
    with held(directory), steps.step(f"take {name} down"):
        _remove(name, directory)


def gc(settings: Settings, steps: Steps) -> tuple[str, ...]:
    """Remove data centres that never came up and that nobody is building; return their names."""
    cleaned = []
    for name in instances(settings):
        if not (settings.state_dir / name / UP).exists():
            try:
                down(name, settings, steps)
            except DirtyError:
                continue  # it is being built right now
            cleaned.append(name)
    return tuple(cleaned)


def instances(settings: Settings) -> tuple[str, ...]:
    """Return the names of all data centres of this host, whole or not."""
    if not settings.state_dir.is_dir():
        return ()
    return tuple(sorted(path.name for path in settings.state_dir.iterdir() if path.is_dir()))


def _context(instance: str, settings: Settings, accelerator_kind: str, slowness: float) -> PlanContext:
    return PlanContext(
        instance=instance,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator="kvm" if accelerator_kind == "kvm" else "tcg",
        slowness=slowness,
    )


def _build(plan: Plan, settings: Settings, steps: Steps) -> LiveDataCenter:
    dc = LiveDataCenter(plan=plan, settings=settings, steps=steps)
    _write_durably(dc.run_directory / PLAN, plan.to_json())
    dc.recorder.start()
    build = Build(plan=plan, settings=settings, secrets=dc.secrets)
    seconds = {}
    start = time.monotonic()
    with steps.step("build the fabric"):
        engine.apply(build, only=lambda resource: not isinstance(resource, Domain))
    with steps.step("wait for the fabric to converge"):
        wait_converged(dc, down=tuple(dc.servers))
    seconds["fabric"] = round(time.monotonic() - start, 2)
    if plan.topology.servers:
        with steps.step("start the servers"):
            engine.apply(build, only=lambda resource: isinstance(resource, Domain))
        for machine in dc.servers.values():
            with steps.step(f"wait for {machine.name} to answer"):
                machine.wait_answering()
        seconds["answering"] = round(time.monotonic() - start, 2)
        with steps.step("wait for everything to converge"):
            wait_converged(dc)
    seconds["up"] = round(time.monotonic() - start, 2)
    _write_durably(dc.run_directory / UP, json.dumps(seconds))
    return dc


@contextmanager
def _rolled_back(plan: Plan, *, retain: bool) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if retain:
            error.add_note(f"what was built is kept; `vdc down {plan.instance}` removes it")
            raise
        try:
            _remove(plan.instance, plan.context.run_directory)
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"rolling back failed too: {second}; `vdc down {plan.instance}` tries again")
        raise


def _remove(name: str, directory: Path, *, keep_directory: bool = False) -> None:
    """End every process, remove every namespace, and delete every file of a data centre, in this order."""
    (directory / UP).unlink(missing_ok=True)
    # an instance name has no dot in it, so these are exactly ours
    own = [
        each for each in netlink.namespaces(f"vdc-{name}") if each == f"vdc-{name}" or each.startswith(f"vdc-{name}.")
    ]
    inodes = {inode for each in own if (inode := netlink.inode(each)) is not None}
    processes.end_all(inodes)
    netlink.remove_namespaces(own)
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not keep_directory:
        directory.rmdir()


def _write_durably(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
