"""`vdc fault schedule`: faults by a file, on a running data centre, with a verdict; and a smallest part that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from vdc.cli.context import need_root
from vdc.cli.lifecycle import expect_up
from vdc.errors import ClusterError, HarnessTimeout, HealError, InconclusiveError, InputError, VdcError, WaitTimeout

if TYPE_CHECKING:
    from vdc.datacenter.live import LiveDataCenter
    from vdc.faults.catalogue import Chosen
    from vdc.faults.schedule import Schedule
    from vdc.faults.schedule_spec import ExpectSpec
    from vdc.observe.verdict import Verdict
    from vdc.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The schedule.")]
DataCentre = Annotated[
    str | None, typer.Option("--dc", metavar="NAME", help="The data centre; by default the only one there is.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="What all draws begin with; by default what the file says.")]
Shrink = Annotated[bool, typer.Option("--shrink", help="Reduce one that fails to a smallest one that still does.")]
To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="FILE", help="Where --shrink writes that; by default beside it, as NAME.smallest.yml."
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only print what would break, and when, as a schedule.")]


class Complaint(NamedTuple):
    """What did not hold, `by` a checker, or the error that told it."""

    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Runs schedules on a data centre, as often as asked, and says what did not hold; `told` hears what happens."""

    dc: LiveDataCenter
    expect: ExpectSpec
    chooser: Callable[[Random], Chosen]
    told: Callable[[str], object] = typer.echo

    def __call__(self, schedule: Schedule) -> tuple[Complaint, ...]:
        """Run a schedule; return what did not hold.

        Raises: what is no verdict on the data centre, such as a fault that does not bite; InconclusiveError where a
        checker cannot tell, and none found anything.
        """
        try:
            return _complaints(self._run(schedule))
        except (ClusterError, HealError, AssertionError) as error:
            return (Complaint(type(error).__name__, _first_line(error)),)
        except WaitTimeout as error:
            if isinstance(error, HarnessTimeout):
                raise
            return (Complaint(type(error).__name__, _first_line(error)),)

    def fails(self, schedule: Schedule, by: str) -> bool:
        """Return whether a part of a schedule fails by this checker, or error; the data centre is whole before.

        One that cannot be run, or of which nothing can be told, does not.

        Raises VdcError: it is not whole any more, so that nothing more can be tried.
        """
        self.make_whole()
        seconds = sum(each.seconds for each in schedule)
        try:
            found = self(schedule)
        except (HarnessTimeout, InconclusiveError) as error:
            said = f"cannot be told: {_short(_first_line(error))}"
            found = ()
        else:
            said = _short(found[0].why) if found else "all holds"
        typer.echo(f"  {len(schedule)} of them, {seconds:g} s in all: {said}")
        return any(each.by == by for each in found)

    def make_whole(self) -> None:
        """Wait until nothing of an earlier attempt is left. Raises VdcError."""
        from vdc.datacenter.convergence import wait_converged
        from vdc.errors import DirtyError
        from vdc.faults.lease import heal_orphans

        heal_orphans(self.dc)
        wait_converged(self.dc)
        if (reason := self.dc.dirty()) is not None:
            raise DirtyError(f"{self.dc.name} is dirty: {reason}")

    def _run(self, schedule: Schedule) -> tuple[Verdict, ...]:
        from vdc.cluster.api import SpeaksEtcd
        from vdc.cluster.deployers import deployed
        from vdc.datacenter.convergence import wait_converged
        from vdc.faults.schedule_run import play
        from vdc.observe.flow_checkers import longest_flow_outage
        from vdc.observe.flow_watch import flows
        from vdc.observe.probe import Probe
        from vdc.observe.service import service_verdicts

        clusters = tuple(deployed(self.dc))
        with ExitStack() as stack:
            watch = stack.enter_context(flows(self.dc))
            served = [stack.enter_context(Probe().etcd(each)) for each in clusters if isinstance(each, SpeaksEtcd)]
            played = play(self.dc, schedule, self.chooser, self.told)
            wait_converged(self.dc, timeout=self.expect.converge)
            for cluster in clusters:
                cluster.wait_serving()
        verdicts = [found for each in served for found in service_verdicts(each, longest=self.expect.service)]
        for found in verdicts:
            if (outage := found.figures.get("outage")) is not None:
                self.told(f"longest outage of the cluster: {outage:.2f} s")
        silent = frozenset(name for fault in played for name in fault.silences(self.dc))
        self.told(f"longest outage between racks and clients: {watch.longest(besides=silent):.2f} s")
        if self.expect.outage is not None:
            verdicts.append(longest_flow_outage(watch, budget=self.expect.outage, besides=silent))
        return tuple(verdicts)


def _complaints(verdicts: Sequence[Verdict]) -> tuple[Complaint, ...]:
    """Return what checkers found. Raises InconclusiveError: none found anything, and one cannot tell."""
    from vdc.observe.verdict import Kind

    found = tuple(Complaint(each.checker, str(each)) for each in verdicts if each.kind is Kind.INVALID)
    unsure = [str(each) for each in verdicts if each.kind is Kind.UNKNOWN]
    if unsure and not found:
        raise InconclusiveError(unsure[0], hint="run it again, on a host that is less busy")
    return found


def schedule(  # noqa: PLR0913, PLR0917 - an argument for each option
    context: typer.Context,
    file: File,
    name: DataCentre = None,
    seed: Seed = None,
    shrink: Shrink = False,
    to: To = None,
    dry_run: Dry = False,
) -> None:
    """Break what a file says, when it says, and judge whether the data centre stood it.

    Exits 1 if something did not hold, 2 if the file is wrong, 3 if this data centre cannot offer a fault, 75 if this
    host was too busy to tell.
    """
    settings = need_root(context)
    from vdc.cli.fault import chooser
    from vdc.datacenter.lifecycle import attach
    from vdc.faults.kinds import KINDS
    from vdc.faults.lease import heal_orphans
    from vdc.faults.picking import SEEDS
    from vdc.faults.schedule import as_yaml, drawn
    from vdc.faults.schedule_spec import load
    from vdc.steps import Steps

    loaded = load(file, tuple(KINDS))
    dc = attach(name or _only(settings), settings, Steps())
    expect_up(dc)
    for each in heal_orphans(dc):
        typer.echo(f"healed, since nobody holds it any more: {each}")
    number = next(each for each in (seed, loaded.spec.seed, SystemRandom().randrange(SEEDS)) if each is not None)
    choose = partial(chooser, dc)
    planned = drawn(loaded, number, dc, choose)
    if dry_run:
        typer.echo(as_yaml(planned, loaded.spec.expect, about=f"{file.name} with seed {number}"), nl=False)
        return
    typer.echo(f"seed {number}: {len(planned)} faults")
    dc.recorder.record("note", "harness", name="seed", seed=number, schedule=str(file))
    attempt = Attempt(dc=dc, expect=loaded.spec.expect, chooser=choose)
    complaints = attempt(planned)
    if not complaints:
        typer.echo("all holds")
        return
    by, why = complaints[0]
    if not shrink:
        raise ClusterError(f"{file}: {why}", hint="--shrink finds a smallest part of it that fails")
    least = _shrunk(planned, replace(attempt, told=lambda _: None), by)
    place = to or file.with_suffix(".smallest.yml")
    about = f"a smallest part of {file.name}, with seed {number}, that fails: {_short(why)}"
    place.write_text(as_yaml(least, loaded.spec.expect, about=about), encoding="utf-8")
    raise ClusterError(f"{file}: {why}", hint=f"{len(least)} of its {len(planned)} faults are enough: {place}")


def _shrunk(planned: Schedule, attempt: Attempt, by: str) -> Schedule:
    """Return a smallest part that fails `by` the same, or the smallest found before nothing more could be tried."""
    from vdc.faults.shrinking import smallest

    found = [planned]

    def fails(part: Schedule) -> bool:
        failed = attempt.fails(part, by)
        if failed:
            found.append(part)
        return failed

    typer.echo(f"{len(planned)} faults fail; looking for fewer")
    try:
        return smallest(planned, fails)
    except VdcError as error:
        typer.echo(f"stopped: {_first_line(error)}")
        return found[-1]


def _only(settings: Settings) -> str:
    from vdc.datacenter.lifecycle import instances

    there = instances(settings)
    if len(there) != 1:
        raise InputError("which data centre?", hint=f"--dc NAME; there is {', '.join(there) or 'none'}")
    return there[0]


def _short(why: str) -> str:
    return why.partition(";")[0]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
