"""Faults as a history tells them, to be injected once more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vdc.history import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A fault that was in effect: its record, `after` so many seconds since the first, held for so many `seconds`."""

    name: str
    fault: Mapping[str, Any]
    after: float
    seconds: float


def recorded(events: Iterable[Event]) -> tuple[Recorded, ...]:
    """Return the faults of a history in the order of their injection; those that never bit, or have no record, are
    left out.
    """
    open_: dict[str, tuple[Event, float]] = {}
    found: list[tuple[Event, float, float]] = []
    injected: dict[str, Event] = {}
    for event in events:
        if event.kind != "fault":
            continue
        name = event.data["name"]
        match event.data["phase"]:
            case "inject" if event.data.get("fault"):
                injected[name] = event
            case "bites" if name in injected:
                open_[name] = (injected.pop(name), event.time)
            case "heal" if name in open_:
                begun, bitten = open_.pop(name)
                found.append((begun, bitten, event.time))
    found.sort(key=lambda each: each[0].time)
    return tuple(
        Recorded(
            name=begun.data["name"],
            fault=begun.data["fault"],
            after=begun.time - found[0][0].time,
            seconds=healed - bitten,
        )
        for begun, bitten, healed in found
    )
