"""Bringing a running data centre to another topology, while all that is the same in both goes on undisturbed.

What is new comes first, and everything converges on it; then what leaves is drained, and only then taken away
(`vdc.plan.reshape`). From the first change to the last the data centre is marked dirty, and its run directory holds
the plan that it is on its way to beside the one that it comes from: whoever kills this leaves what `vdc down` removes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from vdc.datacenter import ownership, templates
from vdc.datacenter.convergence import differences
from vdc.datacenter.live import DIRTY, LiveDataCenter, held, is_up
from vdc.datacenter.reshaping import reshape
from vdc.errors import DirtyError, InputError
from vdc.host import accelerator, images, ledger, preflight, user_images
from vdc.host.claims import PLAN, PLANNED
from vdc.model.topology import Topology
from vdc.plan.diff import Diff, diff
from vdc.plan.plan import Plan, make_plan
from vdc.plan.reshape import fixed_changes, refusals
from vdc.settings import Settings
from vdc.steps import Steps

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshaping:
    """What a running data centre is, what it is to be, and what differs."""

    running: Plan
    target: Plan
    diff: Diff


def compare(running: Plan, topology: Topology, settings: Settings) -> Reshaping:
    """Return what it would take to bring a running data centre to a topology; nothing is touched.

    It is planned with what is known of the host since it came up, so that guests that stay are what they are.
    """
    context = running.context
    if not running.topology.servers and (known := accelerator.cached(settings)) is not None:
        context = replace(context, accelerator=known.kind, slowness=known.slowness)
    known_images = {replace(each, sha256=None): each for each in running.topology.images if each.file and each.sha256}
    images = tuple(known_images.get(replace(each, sha256=None), each) for each in topology.images)
    target = make_plan(replace(topology, boot=running.topology.boot, images=images), context)
    return Reshaping(running=running, target=target, diff=diff(running, target))


def expect_possible(wanted: Reshaping) -> None:
    """Raise InputError naming everything that cannot change while a data centre runs, if there is anything."""
    if not (stuck := refusals(wanted.diff)):
        return
    name = wanted.running.instance
    restart = f"`vdc down {name}`, then `vdc up`"
    more = (f"and {len(stuck) - _SHOWN} more",) if len(stuck) > _SHOWN else ()
    raise InputError(
        "\n  - ".join((f"{name} cannot change so while it runs:", *stuck[:_SHOWN], *more)),
        hint=restart if fixed_changes(wanted.diff) else f"apply a file without these, then this one; or {restart}",
    )


def apply(wanted: Reshaping, settings: Settings, steps: Steps) -> LiveDataCenter:
    """Bring a running data centre to its new plan; return when it has converged on it.

    Raises:
        InputError: it is not up, is not what it was compared with, or must not change so while it runs: names all
            that must not. Nothing was touched.
        DirtyError: it is dirty or degraded, or another process is busy with it. Nothing was touched.
        HostError: this host cannot hold what it is to be. Nothing was touched.
        BuildError, CommandError, WaitTimeout: naming what failed. The data centre is dirty.
    """
    dc = LiveDataCenter(plan=wanted.running, settings=settings, steps=steps)
    with held(dc.run_directory):
        _expect_sound(dc, wanted)
        wanted, found = _prepare(wanted, settings, steps)
        with _promised(dc, wanted), _marked(dc):
            return reshape(dc, wanted.target, wanted.diff, found)


def _expect_sound(dc: LiveDataCenter, wanted: Reshaping) -> None:
    if not is_up(dc.run_directory):
        raise InputError(f"{dc.name} is not up", hint=f"`vdc status {dc.name}` says more")
    if ownership.attach(dc.name, dc.settings, dc.steps).plan != wanted.running:
        raise InputError(f"{dc.name} was changed by another process meanwhile", hint="try again")
    if (reason := dc.dirty()) is not None:
        raise DirtyError(f"{dc.name} is dirty: {reason}", hint=f"`vdc down {dc.name}`, then `vdc up`")
    expect_possible(wanted)
    with dc.steps.step(f"check that {dc.name} is whole"):
        if wrong := tuple(islice(differences(dc), _SHOWN)):
            raise DirtyError("\n  - ".join((f"{dc.name} is degraded:", *wrong)), hint="heal it first")


def _prepare(wanted: Reshaping, settings: Settings, steps: Steps) -> tuple[Reshaping, templates.Templates]:
    """Return what is wanted with all that is known now, and the templates of the servers that are new.

    The host is checked then, and the cache has all that is needed.
    """
    wanted = _known(wanted, settings, steps)
    new = _new_servers(wanted)
    preflight.check(wanted.target, settings)
    if any(each.managed for each in new.servers):
        images.ensure(new.release, settings, steps)
    if new.boot == "cold":
        return wanted, {}
    return wanted, templates.ensure(replace(wanted.target, topology=new), settings, steps)


def _known(wanted: Reshaping, settings: Settings, steps: Steps) -> Reshaping:
    """Return what is wanted with the host's accelerator probed and new images of the user's fetched."""
    new, running = _new_servers(wanted), wanted.running.topology
    if not new.servers:
        return wanted
    if not running.servers:
        with steps.step("probe the accelerator"):
            accelerator.probe(settings)
    # what runs is made of images as they were then, whatever their files have become since
    used = user_images.wanted(running)
    known = tuple(image for image in new.images if image in running.images and image.name in used)
    unknown = replace(new, images=tuple(image for image in new.images if image not in known))
    images = (*known, *user_images.ensure(unknown, wanted.target.context, settings, steps).images)
    return compare(wanted.running, replace(wanted.target.topology, images=images), settings)


def _new_servers(wanted: Reshaping) -> Topology:
    """Return the new topology with none but the servers that are new."""
    known = {server.name for server in wanted.running.topology.servers}
    topology = wanted.target.topology
    return replace(topology, servers=tuple(each for each in topology.servers if each.name not in known))


@contextmanager
def _promised(dc: LiveDataCenter, wanted: Reshaping) -> Iterator[None]:
    """Have the room on the host for both plans; the new one is known to others before it is asked for."""
    planned = dc.run_directory / PLANNED
    ownership.write_durably(planned, wanted.target.to_json())
    try:
        ledger.admit(wanted.target, dc.settings, dc.steps)
    except BaseException:
        planned.unlink()
        raise
    yield


@contextmanager
def _marked(dc: LiveDataCenter) -> Iterator[None]:
    """Keep a data centre marked dirty until it is what it is to be; then its plan is the new one."""
    dc.mark_dirty("`vdc apply` did not come to its end")
    try:
        yield
    except BaseException as error:
        dc.mark_dirty(f"`vdc apply` failed: {type(error).__name__}: {error}")
        error.add_note(f"{dc.name} is neither what it was nor what it was to be; `vdc down {dc.name}` removes it")
        raise
    (dc.run_directory / PLANNED).rename(dc.run_directory / PLAN)
    (dc.run_directory / DIRTY).unlink()
