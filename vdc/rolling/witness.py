"""What became of servers in a time: which of them were away, when and why, by all witnesses."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.pace import deadline, lasting
from vdc.errors import WaitTimeout
from vdc.history import Event, events_in
from vdc.observe.verdict import Verdict, judge
from vdc.rolling.boots import Boot, boots_of, remember
from vdc.rolling.history import (
    Absence,
    absences,
    at_most_away,
    causes_agree,
    last_away,
    one_rack_away,
    one_voter_away,
    restarted_once,
)
from vdc.rolling.queue import Order, nodes_of
from vdc.wait import NotYet, wait_for

_JOURNAL_SECONDS: Final = 30.0
_TELLS_SECONDS: Final = 5.0  # the hypervisor's words take a moment to the history


@dataclass(slots=True)
class Witness:
    """What was seen, once the body is over: who was `away`, and the `events` of that time."""

    dc: DataCenter
    started: float
    away: tuple[Absence, ...] = ()
    events: tuple[Event, ...] = ()


@contextmanager
def witnessing(dc: DataCenter) -> Iterator[Witness]:
    """Watch all servers that a cluster is deployed on for the body, at whose end all of them must answer.

    Raises AssertionError: there is none; CommandError, WaitTimeout: one does not answer.
    """
    machines = [dc.servers[server.name] for server in dc.topology.members]
    assert machines, "the data centre has no servers"
    offset = dc.recorder.path.stat().st_size if dc.recorder.path.exists() else 0
    before = {machine.name: machine.boot_id() for machine in machines}
    for machine in machines:
        remember(machine)
    witness = Witness(dc=dc, started=time.monotonic())
    yield witness
    boots = {machine.name: _boots(dc, machine) for machine in machines}

    def told() -> None:
        witness.events = tuple(_events(dc, offset))
        witness.away = absences(witness.events, boots, since=before, now=time.monotonic())
        if any(not each.hypervisor for each in witness.away):
            raise NotYet("the hypervisor has not told of all of them")

    with suppress(WaitTimeout):
        wait_for(told, what="the hypervisor to tell", timeout=lasting(dc, _TELLS_SECONDS))
    _record(dc, boots, before)


def judge_restarts(witness: Witness, *, servers: Collection[str], most: int, order: Order | None = None) -> None:
    """Demand that each of these servers went away once, no other did, no more than `most` at once, never two of
    different racks, never two voters, in this order if any, and that all witnesses agree why.

    Raises AssertionError with what all checkers say.
    """
    judge(*restart_verdicts(witness, servers=servers, most=most, order=order))


def restart_verdicts(
    witness: Witness, *, servers: Collection[str], most: int, order: Order | None = None
) -> tuple[Verdict, ...]:
    """Return the verdicts that `judge_restarts` demands to be valid."""
    nodes, away = nodes_of(witness.dc.topology), witness.away
    voters = {node.name for node in nodes if node.votes}
    last = voters if order is Order.VOTERS_LAST else {node.name for node in nodes} - voters
    return (
        restarted_once(away, servers, witness.events),
        causes_agree(away),
        at_most_away(away, most=most),
        one_rack_away(away, {node.name: node.rack for node in nodes}),
        *((one_voter_away(away, voters),) if voters & set(servers) else ()),
        *((last_away(away, last),) if order is not None and last & set(servers) else ()),
    )


def judge_all_restarted(witness: Witness, *, servers: Collection[str]) -> None:
    """Demand that each of these servers went away once, no other did, and that all witnesses agree why; how many at a
    time does not matter.

    Raises AssertionError with what all checkers say.
    """
    judge(restarted_once(witness.away, servers, witness.events), causes_agree(witness.away))


def _events(dc: DataCenter, offset: int) -> Sequence[Event]:
    with dc.recorder.path.open("rb") as file:
        file.seek(offset)
        lines = file.read().rpartition(b"\n")[0].splitlines()
    # of the harness's probes nothing is needed, and theirs are most
    return list(events_in(line.decode(errors="replace") for line in lines if b'"kind":"op"' not in line))


def _boots(dc: DataCenter, machine: Machine) -> tuple[Boot, ...]:
    """Return the boots of a server, with the one that runs: its agent answers before its journal is on the disk."""
    runs = machine.boot_id()

    def known() -> tuple[Boot, ...]:
        boots = boots_of(dc, machine)
        if not boots or boots[-1].id != runs:
            raise NotYet(f"it does not tell of boot {runs}")
        return boots

    what = f"the journal on the disk of {machine.name} to know of its boot"
    return wait_for(known, what=what, timeout=deadline(dc, _JOURNAL_SECONDS), interval=0.5)


def _record(dc: DataCenter, boots: dict[str, tuple[Boot, ...]], before: dict[str, str]) -> None:
    """Tell the history what the servers told."""
    for name, own in boots.items():
        known = [boot.id for boot in own]
        for boot in own[known.index(before[name]) if before[name] in known else 0 :]:
            dc.recorder.record("boot", name, boot=boot.id, begun=boot.begun, ended=boot.ended, end=boot.end)
