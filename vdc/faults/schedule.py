"""Schedules: faults that are drawn from a seed, each with its moment and its length. Pure but for who leads.

Faults may be in effect at the same time, unless both strike the same: the same device, the same cable, or a device and
a cable of it. One that names no device strikes everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from random import Random
from typing import Any, Final

from ruamel.yaml import YAML

from vdc.datacenter.api import DataCenter
from vdc.errors import InputError
from vdc.faults.base import Fault
from vdc.faults.catalogue import Chosen, from_record, parse, to_record
from vdc.faults.schedule_spec import EntrySpec, ExpectSpec, Loaded, Span
from vdc.model.topology import Topology
from vdc.model.written import written_duration

_DRAWS: Final = 200
"""How often an entry is drawn until it is apart from all that it must be apart from."""

LEADER: Final = "leader"

Place = tuple[str, str]
"""A device and one of its interfaces; without one, the whole device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A fault of a schedule: `kind` with its fields, which breaks `at` seconds after the beginning for `seconds`.

    Its fields are `exactly` as recorded; or, where who leads decides, the `words` for `parse`, with the text that seeds
    the dice.
    """

    kind: str
    at: float
    seconds: float
    exactly: Mapping[str, Any] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    dice: str = ""

    def fault(self, dc: DataCenter, chooser: Callable[[Random], Chosen]) -> Fault:
        """Return the fault. Raises InputError."""
        if self.exactly is not None:
            return from_record({"kind": self.kind, **self.exactly}, dc)
        dice = Random(self.dice)
        return parse(self.kind, self.words, dc, chooser(dice), dice)


Schedule = tuple[Planned, ...]


def drawn(loaded: Loaded, seed: int, dc: DataCenter, chooser: Callable[[Random], Chosen]) -> Schedule:
    """Return the faults of a schedule, by their moments, the same for the same seed.

    `chooser` returns, for dice, what resolves selectors. Each entry has dice of its own.

    Raises InputError: one cannot be, or would be in effect together with one that strikes the same.
    """
    found: list[tuple[Planned, frozenset[Place]]] = []
    for number, entry in enumerate(loaded.spec.faults):
        for turn in range(entry.times):
            dice = f"{seed}/{number}/{turn}"
            try:
                found.append(_placed(entry, dice, found, lambda each: _strikes(each, dc, chooser)))
            except InputError as error:
                raise loaded.mistake(number, error.message) from error
    return tuple(sorted((each for each, _ in found), key=lambda each: each.at))


def collide(some: frozenset[Place], others: frozenset[Place]) -> bool:
    """Return whether two faults strike the same. Without a place a fault strikes everything."""
    if not some or not others:
        return True
    return any(a[0] == b[0] and (a[1] == b[1] or not a[1] or not b[1]) for a in some for b in others)


def strikes(record: Mapping[str, Any], topology: Topology) -> frozenset[Place]:
    """Return what a fault strikes, by its record: the devices that it names, or both ends of a cable; none for all."""
    if "interface" in record and "device" in record:
        return frozenset(_ends(topology, str(record["device"]), str(record["interface"])))
    if any(value == [] for value in record.values()):
        return frozenset()  # of names, none stands for all
    racks = {each.name: each.rack for each in topology.routers} | {each.name: each.rack for each in topology.servers}
    named = {(name, "") for name in _texts(list(record.values())) if name in racks}
    if isinstance(number := record.get("rack"), int):
        named |= {(name, "") for name, rack in racks.items() if rack == number}
    return frozenset(named)


def as_yaml(schedule: Schedule, expect: ExpectSpec, *, about: str) -> str:
    """Return the file that means exactly this schedule; `about` is a line of comment on top of it."""
    yaml, text = YAML(), StringIO()
    yaml.default_flow_style = None
    yaml.width = 110
    wanted = {
        name: written_duration(value)
        for name, value in expect.model_dump(exclude_none=True).items()
        if isinstance(value, float)
    }
    entries = [_written(each) for each in schedule]
    yaml.dump({"faults": entries, **({"expect": wanted} if wanted else {})}, text)
    return f"# {about}\n{text.getvalue()}"


def _placed(
    entry: EntrySpec,
    dice: str,
    others: list[tuple[Planned, frozenset[Place]]],
    struck: Callable[[Planned], tuple[Planned, frozenset[Place]]],
) -> tuple[Planned, frozenset[Place]]:
    """Draw an entry until nothing that strikes the same is in effect at the same time."""
    seen: list[Planned] = []
    for draw in range(_DRAWS):
        planned, places = struck(_draw(entry, f"{dice}/{draw}" if draw else dice))
        hit = next((each for each, its in others if _overlap(each, planned) and collide(its, places)), None)
        if hit is None:
            return planned, places
        if not _draws(entry) and seen:
            break
        seen.append(planned)
    raise InputError(
        f"{_text(planned)} is in effect together with {_text(hit)}, and both strike the same"
        if hit is not None
        else "it cannot be placed"
    )


def _draw(entry: EntrySpec, seed: str) -> Planned:
    dice = Random(seed)
    at, seconds = _second(entry.at, dice), _second(entry.lasts, dice)
    if entry.one_of:
        what = dice.choice(entry.one_of)
        return Planned(kind=what.fault, at=at, seconds=seconds, words=what.fields, dice=f"{seed}/what")
    assert entry.fault is not None
    words, exactly = entry.fields, entry.exactly
    return Planned(kind=entry.fault, at=at, seconds=seconds, words=words, exactly=exactly, dice=f"{seed}/what")


def _strikes(planned: Planned, dc: DataCenter, chooser: Callable[[Random], Chosen]) -> tuple[Planned, frozenset[Place]]:
    """Return a fault with its fields as they are, and what it strikes; who leads is not known before it breaks."""
    if any(LEADER in text for text in planned.words.values()):
        return planned, frozenset((each.name, "") for each in dc.topology.members)
    fault = planned.fault(dc, chooser)
    try:
        kind, record = _parts(to_record(fault))
    except TypeError as error:
        raise InputError(f"{fault.name} cannot be written down: {error}") from error
    exact = Planned(kind=kind, at=planned.at, seconds=planned.seconds, exactly=record)
    return exact, strikes(record, dc.topology)


def _parts(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return str(record["kind"]), {name: value for name, value in record.items() if name != "kind"}


def _second(span: Span, dice: Random) -> float:
    return span.least if span.least == span.most else round(dice.uniform(*span), 3)


def _draws(entry: EntrySpec) -> bool:
    """Return whether another draw may come out differently."""
    words = [entry.fields, *(each.fields for each in entry.one_of)]
    return (
        bool(entry.one_of)
        or entry.at.least < entry.at.most
        or any("(" in text or text in _DRAWN for each in words for text in each.values())
        or entry.fault == "partitioned"
    )


_DRAWN: Final = ("one", "any", "minority", "majority")


def _overlap(a: Planned, b: Planned) -> bool:
    return a.at < b.at + b.seconds and b.at < a.at + a.seconds


def _text(planned: Planned) -> str:
    return f"{planned.kind} at {written_duration(planned.at) if planned.at else '0s'}"


def _ends(topology: Topology, device: str, interface: str) -> Iterator[Place]:
    yield device, interface
    for link in topology.links:
        for near, far in ((link.a, link.b), (link.b, link.a)):
            if (near.device, near.interface) == (device, interface):
                yield far.device, far.interface
    for server in topology.servers:
        if server.name == device:
            yield from ((port.tor, f"to {device}") for port in server.ports if port.interface == interface and port.tor)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _written(planned: Planned) -> Mapping[str, Any]:
    what: dict[str, Any] = {"fault": planned.kind}
    if planned.exactly is not None:
        what["exactly"] = dict(planned.exactly)
    elif planned.words:
        what["with"] = dict(planned.words)
    at = written_duration(planned.at) if planned.at else "0s"
    return {**what, "at": at, "for": written_duration(planned.seconds)}
