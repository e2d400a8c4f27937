"""Who owns a data centre: created, attached to, down, and cleaned up after a crash.

Ownership comes before creation. A run directory comes into being with the plan in it, by one rename; then the name
is claimed on this host; and everything else is a file in that directory, a namespace whose name follows from the
instance's, or a process in such a namespace. So `down` needs nothing but the name, at any moment, after any death.
Nothing that has no plan in it is ever taken for a run directory.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vdc.datacenter.api import DataCenter
from vdc.datacenter.live import UP, LiveDataCenter, boot_id, held, is_up, process_identity, sweep_locks
from vdc.datacenter.stay import dismiss_keepers, stays
from vdc.errors import DirtyError, InputError
from vdc.host import claims, cpu, images, ledger, nat, netlink, processes, volumes
from vdc.host.claims import PLAN, PLANNED
from vdc.plan.internet import NAME as INTERNET
from vdc.plan.internet import host_interface
from vdc.plan.plan import Plan
from vdc.plan.resources.network import Nat
from vdc.settings import Settings
from vdc.steps import Steps

_NEW, _GONE = ".new", ".gone"
"""Ends of the names, hidden by a dot, of run directories that are being made or deleted."""


def create(
    plan: Plan,
    settings: Settings,
    steps: Steps,
    build: Callable[[LiveDataCenter], dict[str, float]],
    *,
    retain: bool = False,
    tied: bool = False,
) -> LiveDataCenter:
    """Make a run directory and let `build` fill it; it returns the seconds its phases took.

    What failed is rolled back, unless `retain`. One that is `tied` to this process is a leftover when the process
    is dead, which the next `create` of that name or `gc` removes.

    Raises:
        InputError: it is up already, or its name is taken.
        BuildError, WaitTimeout: from `build`.
    """
    directory = plan.context.run_directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with held(directory):
        refuse_if_up(plan)
        if plan.instance in instances(settings):
            with steps.step("clear what a crash left"):
                _remove(plan.instance, directory)
        with _rolled_back(plan, retain=False):
            _make_run_directory(plan)
            ledger.admit(plan, settings, steps)
        with _rolled_back(plan, retain=retain):
            dc = LiveDataCenter(plan=plan, settings=settings, steps=steps)
            dc.recorder.start()
            seconds = build(dc)
        owner = process_identity(os.getpid()) if tied else None
        write_durably(directory / UP, json.dumps({"boot": boot_id(), "owner": owner, "seconds": seconds}))
        return dc


def attach(name: str, settings: Settings, steps: Steps) -> LiveDataCenter:
    """Return the handle of a data centre that another process built.

    Raises:
        InputError: there is none of this name; the hint names those there are.
    """
    path = settings.state_dir / name / PLAN
    if not path.exists():
        raise _no_such(name, settings)
    return LiveDataCenter(plan=Plan.from_json(path.read_text(encoding="utf-8")), settings=settings, steps=steps)


def down(name: str, settings: Settings, steps: Steps) -> None:
    """Take a data centre down, whole or in pieces: nothing of it is left.

    Raises:
        InputError: there is none of this name.
        DirtyError: another process is building it or taking it down.
    """
    if name not in instances(settings):
        raise _no_such(name, settings)
    directory = settings.state_dir / name
    with held(directory), steps.step(f"take {name} down"):
        _remove(name, directory)


def gc(settings: Settings, steps: Steps) -> tuple[str, ...]:
    """Remove data centres that are not up and that nobody is building or looking into; return their names."""
    images.clean(settings)
    cleaned = []
    for name in instances(settings):
        directory = settings.state_dir / name
        with suppress(DirtyError), held(directory):  # else it is being built right now
            if not is_up(directory) and not stays(directory):
                with steps.step(f"remove what is left of {name}"):
                    _remove(name, directory)
                cleaned.append(name)
    sweep_locks(settings.state_dir)
    return tuple(cleaned)


def instances(settings: Settings) -> tuple[str, ...]:
    """Return the names of all data centres of this host, whole or not, also those half made or half deleted."""
    if not settings.state_dir.is_dir():
        return ()
    found = set()
    for path in settings.state_dir.iterdir():
        if path.name.startswith(".") and path.suffix in {_NEW, _GONE}:
            found.add(path.stem[1:])
        elif (path / PLAN).exists():
            found.add(path.name)
    return tuple(sorted(found))


def tie(run_directory: Path) -> None:
    """Make a data centre that another process brought up a leftover once this process is dead."""
    up = json.loads((run_directory / UP).read_text(encoding="utf-8"))
    write_durably(run_directory / UP, json.dumps({**up, "owner": process_identity(os.getpid())}))


def seconds(dc: DataCenter) -> dict[str, float]:
    """Return the seconds that the phases of coming up took, by phase."""
    took: dict[str, float] = json.loads((dc.run_directory / UP).read_text(encoding="utf-8"))["seconds"]
    return took


def _no_such(name: str, settings: Settings) -> InputError:
    return InputError(f"no data centre {name!r}", hint=f"there are: {', '.join(instances(settings)) or 'none'}")


def refuse_if_up(plan: Plan) -> None:
    """Raise InputError if a data centre of the plan's name is up."""
    if is_up(plan.context.run_directory):
        raise InputError(f"{plan.instance} is up already", hint=f"`vdc down {plan.instance}`, or another --name")


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


def _make_run_directory(plan: Plan) -> None:
    directory = plan.context.run_directory
    new = directory.with_name(f".{directory.name}{_NEW}")
    new.mkdir(mode=0o700)
    write_durably(new / PLAN, plan.to_json())
    try:
        new.rename(directory)
    except OSError as error:
        raise InputError(
            f"{directory} is there, and is not a run directory of vdc", hint="choose another --name"
        ) from error


def _remove(name: str, directory: Path) -> None:
    """End every process, remove every namespace, and delete every file of a data centre, in this order."""
    (directory / UP).unlink(missing_ok=True)
    dismiss_keepers(directory)
    if claims.owner(name) == directory:
        # an instance name has no dot in it, so these are exactly ours
        prefix = f"vdc-{name}"
        own = [each for each in netlink.namespaces(prefix) if each == prefix or each.startswith(f"{prefix}.")]
        if f"{prefix}.{INTERNET}" in own:
            _cut_off(name, directory)
        processes.end_all({found for each in own if (found := netlink.identity(each)) is not None})
        netlink.remove_namespaces(own)
        cpu.free_all(name)
    volumes.remove_outside(directory)
    gone = directory.with_name(f".{directory.name}{_GONE}")
    for leftover in (gone, directory.with_name(f".{directory.name}{_NEW}")):
        if leftover.exists():
            shutil.rmtree(leftover)
    if (directory / PLAN).exists():
        directory.rename(gone)
        shutil.rmtree(gone)
    claims.release(name, directory)


def _cut_off(name: str, directory: Path) -> None:
    """Remove what the data centre has outside its namespaces to reach the internet."""
    for path in (directory / PLAN, directory / PLANNED):
        if path.exists():
            with suppress(InputError):  # a plan of another version of vdc
                for resource in Plan.from_json(path.read_text(encoding="utf-8")).resources:
                    if isinstance(resource, Nat):
                        nat.remove(resource)
    nat.remove_outside(f"vdc-{name}", host_interface(name), None)


def write_durably(path: Path, text: str) -> None:
    """Write a file that is whole or not there, whatever happens."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
