"""`vdc fault list|run|schedule|replay|heal`: faults on a running data centre."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, steps
from vdc.cli.lifecycle import Instance, expect_up
from vdc.cli.schedule import schedule
from vdc.errors import HostError, InputError

if TYPE_CHECKING:
    from vdc.datacenter.live import LiveDataCenter
    from vdc.faults.base import Fault

Kind = Annotated[str, typer.Argument(metavar="KIND", help="The kind of fault: see `vdc fault list`.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FIELD=VALUE…]", help="What it strikes, and how; devices may be selectors: one(rack(0))."),
]
For = Annotated[str, typer.Option("--for", metavar="TIME", help="How long it lasts once it bites: 30s, 5min.")]
Seed = Annotated[int | None, typer.Option("--seed", help="What draws selectors; by default a new one, which is told.")]
History = Annotated[Path, typer.Argument(metavar="HISTORY", help="A history.jsonl that tells of faults.")]


def build_app() -> typer.Typer:
    """Return the commands below `vdc fault`."""
    app = typer.Typer(help="Break something on purpose, prove it, heal it, prove that.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("run")(run)
    app.command("schedule")(schedule)
    app.command("replay")(replay)
    app.command("heal")(heal)
    return app


def list_() -> None:
    """List the kinds of faults: what each is, what it takes, and what it needs."""
    from vdc.faults.catalogue import described

    for name, (what, usage, needs) in described().items():
        typer.echo(f"{name}  {' '.join(usage)}\n    {what}\n    needs {needs}")


def run(
    context: typer.Context,
    name: Instance,
    kind: Kind,
    words: Words = None,
    seconds: For = "10s",
    seed: Seed = None,
) -> None:
    """Inject a fault, prove that it bites, hold it, heal it, and prove that it healed.

    Ctrl-C heals it at once. If this command is killed, the data centre heals it itself.
    """
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.faults.catalogue import parse
    from vdc.faults.lease import heal_orphans
    from vdc.faults.picking import SEEDS
    from vdc.model.values import parse_duration

    try:
        lasts = parse_duration(seconds)
    except ValueError as error:
        raise InputError(f"--for {seconds}: {error}") from error
    if lasts <= 0:
        raise InputError(f"--for {seconds}: a fault lasts longer than that")
    dc = attach(name, settings, steps())
    expect_up(dc)
    for each in heal_orphans(dc):
        typer.echo(f"healed, since nobody holds it any more: {each}")
    number = SystemRandom().randrange(SEEDS) if seed is None else seed
    dice = Random(number)
    fault = parse(kind, _pairs(words or ()), dc, chooser(dc, dice), dice)
    typer.echo(f"seed {number}: {fault.name}")
    dc.recorder.record("note", "harness", name="seed", seed=number, fault=kind, words=list(words or ()))
    _hold(dc, fault, lasts)


def replay(context: typer.Context, name: Instance, history: History) -> None:
    """Inject the faults that a history tells of, in its order, each for as long as it lasted then."""
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.faults.catalogue import from_record
    from vdc.faults.replay import recorded
    from vdc.history import read

    told = recorded(read(history))
    if not told:
        raise InputError(f"{history} tells of no fault that bit")
    dc = attach(name, settings, steps())
    expect_up(dc)
    for each in told:
        _hold(dc, from_record(each.fault, dc), each.seconds)


def heal(context: typer.Context, name: Instance) -> None:
    """Heal the faults that nobody holds any more."""
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.faults.lease import heal_orphans

    healed = heal_orphans(attach(name, settings, steps()))
    typer.echo("\n".join(f"healed: {each}" for each in healed) or "nothing to heal")


def _hold(dc: LiveDataCenter, fault: Fault, seconds: float) -> None:
    from vdc.faults.base import injected
    from vdc.wait import ticks

    lacks = fault.missing(dc)
    if lacks is not None:
        raise HostError(f"{fault.name}: {lacks}")
    start = time.monotonic()
    with injected(dc, fault, lasting=seconds):
        bitten = time.monotonic()
        typer.echo(f"bites after {bitten - start:.1f} s, for {seconds:g} s: {fault.name}")
        try:
            for _ in ticks(seconds, duration=seconds) if seconds > 0 else ():
                pass
        except KeyboardInterrupt:
            typer.echo("interrupted: healing")
        start = time.monotonic()
    typer.echo(f"healed after {time.monotonic() - start:.1f} s: {fault.name}")


def _pairs(words: Sequence[str]) -> Mapping[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals:
            raise InputError(f"{name!r} is not FIELD=VALUE", hint="`vdc fault list` shows the fields")
    return {name: value for name, _, value in pairs}


def chooser(dc: LiveDataCenter, dice: Random) -> Callable[[str, str], tuple[str, ...]]:
    """Return what resolves selectors; the leader is asked for only if one names it."""
    from vdc.cluster.deployers import deployed
    from vdc.faults.picking import among_of, pick
    from vdc.faults.selectors import leader

    def who_leads() -> str:
        for cluster in deployed(dc):
            return leader(dc, cluster)
        raise InputError(f"no cluster runs on {dc.name}, and so there is no leader")

    def chosen(field: str, text: str) -> tuple[str, ...]:
        if field == "interface":
            return (text,)
        return pick(text, dc.topology, dice, among=among_of(field), leader=who_leads)

    return chosen
