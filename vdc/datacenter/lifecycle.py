"""The life of a data centre: prepared, up, attached to, down, and cleaned up after a crash."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from vdc.datacenter import cloning, templates
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.ownership import attach, create, down, gc, instances, refuse_if_up, seconds
from vdc.host import accelerator, engine, firmware, images, preflight, user_images
from vdc.host.engine import Build
from vdc.model.topology import Topology
from vdc.plan.emulation import UEFI_FIRMWARE
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import Overlay
from vdc.plan.resources.processes import Domain
from vdc.settings import Settings
from vdc.steps import Steps

__all__ = ["attach", "create", "down", "gc", "instances", "prepare", "seconds", "up"]


def prepare(
    topology: Topology,
    name: str | None,
    settings: Settings,
    steps: Steps,
    *,
    releases: Sequence[str] = (),
    boot: Literal["fork", "cold"] | None = None,
) -> Plan:
    """Return the plan of a topology for this host: checked, its images in the cache, its accelerator probed.

    `releases` are images that are needed besides the topology's, for upgrades. `boot` overrides what the topology
    says of how servers start.

    Raises:
        InputError: the name is not one, or such a data centre is up already.
        HostError: this host cannot hold it; nothing was built.
    """
    instance = name or topology.name
    # what only serves to be compared with is not made to be cloned
    how = "cold" if IMAGES[topology.release].stock else boot or topology.boot
    chosen = replace(topology, boot=how)
    draft = make_plan(chosen, _context(instance, settings, None))
    refuse_if_up(draft)
    with steps.step("check the host"):
        preflight.check(draft, settings)
    if not chosen.servers:
        return draft
    for release in dict.fromkeys((chosen.release, *releases)):
        images.ensure(release, settings, steps)
    with steps.step("probe the accelerator"):
        found = accelerator.probe(settings)
    context = _context(instance, settings, found)
    return make_plan(user_images.ensure(chosen, context, settings, steps), context)


def up(plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False) -> LiveDataCenter:
    """Build a data centre, and return when it routes as its topology says and every server answers.

    Servers start as clones of booted templates, which are made first where the cache lacks them, unless the topology
    says `boot: cold`, or they are such that they cannot (`templates.clonable`). For `retain` and `tied` see `create`.

    Raises:
        InputError: it is up already, or its name is taken.
        BuildError, WaitTimeout: naming the resource or the fact, and the reason.
    """
    if plan.topology.boot == "cold" or not any(map(templates.clonable, plan.topology.servers)):
        return create(plan, settings, steps, _build, retain=retain, tied=tied)
    refuse_if_up(plan)
    found = templates.ensure(plan, settings, steps)
    return create(plan, settings, steps, partial(_build_from, found), retain=retain, tied=tied)


@dataclass(slots=True)
class _Stopwatch:
    """Seconds since it was made, by the name of what had been reached."""

    start: float
    reached: dict[str, float]

    def reach(self, what: str) -> None:
        self.reached[what] = round(time.monotonic() - self.start, 2)


def _build(dc: LiveDataCenter) -> dict[str, float]:
    watch = _Stopwatch(time.monotonic(), {})
    build = Build(plan=dc.plan, settings=dc.settings, secrets=dc.secrets)
    with dc.steps.step("build the fabric"):
        engine.apply(build, only=lambda resource: not isinstance(resource, Domain))
    with dc.steps.step("wait for the fabric to converge"):
        wait_converged(dc, down=tuple(dc.servers))
    watch.reach("fabric")
    if dc.topology.servers:
        with dc.steps.step("start the servers"):
            engine.apply(build, only=lambda resource: isinstance(resource, Domain))
        _wait_started(dc, dc.servers.values())
        watch.reach("answering")
        with dc.steps.step("wait for everything to converge"):
            wait_converged(dc)
    watch.reach("up")
    return watch.reached


def _build_from(found: templates.Templates, dc: LiveDataCenter) -> dict[str, float]:
    watch = _Stopwatch(time.monotonic(), {})
    build = Build(plan=dc.plan, settings=dc.settings, secrets=dc.secrets)

    def waits(resource: Resource) -> bool:
        return isinstance(resource, Domain) or (isinstance(resource, Overlay) and resource.server in found)

    with dc.steps.step("build the fabric"):
        engine.apply(build, only=lambda resource: not waits(resource))
    watch.reach("fabric")
    cold = [machine for name, machine in dc.servers.items() if name not in found]
    if cold:
        with dc.steps.step("start the servers that cannot be clones"):
            engine.apply(build, only=lambda resource: isinstance(resource, Domain) and resource.server not in found)
    with dc.steps.step("start the servers as clones"):
        cloning.start(dc, found)
    _wait_started(dc, cold)
    watch.reach("answering")
    with dc.steps.step("wait for everything to converge"):
        wait_converged(dc)
    watch.reach("up")
    return watch.reached


def _wait_started(dc: LiveDataCenter, machines: Iterable[LiveMachine]) -> None:
    """Wait until servers answer. Of one with an image of the user's nothing more is known than that it runs."""
    for machine in machines:
        with dc.steps.step(f"wait for {machine.name} to answer" if machine.spec.managed else f"see {machine.name} run"):
            machine.wait_answering()


def _context(instance: str, settings: Settings, found: accelerator.Acceleration | None) -> PlanContext:
    return PlanContext(
        instance=instance,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator=found.kind if found else "tcg",
        slowness=found.slowness if found else 1.0,
        uefi=firmware.uefi() or UEFI_FIRMWARE[0],
    )
