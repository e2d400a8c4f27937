"""A way that nodes go in several rounds: all of them, or some, go the first one before any goes the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from vdc.rolling.queue import Limits, Node, Queue
from vdc.upgrade.journal import Begun, Direction
from vdc.upgrade.way import Step, Way


@dataclass(frozen=True, slots=True)
class Lap:
    """One round: its name, which no other one has, and its way."""

    name: str
    way: Way


class Rounds:
    """A way in several rounds, of which the last one is for all nodes. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, *laps: Lap) -> None:
        self.laps = laps

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that go any round."""
        return self.laps[-1].way.nodes

    def at(self, node: str) -> str:
        """Return the release that a node has by all rounds, or which one it has by each."""
        found = {lap.name: lap.way.at(node) for lap in self._of(node)}
        if len(set(found.values())) == 1:
            return next(iter(found.values()))
        return ", ".join(f"{release} by {name}" for name, release in found.items())

    def forward(self, node: str) -> tuple[Step, ...]:
        """Return the steps of all rounds."""
        return tuple(step for lap in self._of(node) for step in lap.way.forward(node))

    def back(self, node: str) -> tuple[Step, ...]:
        """Return the steps back, the last round first."""
        return tuple(step for lap in reversed(self._of(node)) for step in lap.way.back(node))

    def no_return(self) -> str | None:
        """Return the first reason that any round has."""
        return next((why for lap in self.laps if (why := lap.way.no_return()) is not None), None)

    def _of(self, node: str) -> tuple[Lap, ...]:
        """Return the rounds that a node goes."""
        return tuple(lap for lap in self.laps if node in {each.name for each in lap.way.nodes})


def turns(way: Way, limits: Limits) -> tuple[tuple[str, Way], ...]:
    """Return each node once for each round that it goes, with the way of that, in the order in which they go."""
    laps = [lap.way for lap in way.laps] if isinstance(way, Rounds) else [way]
    return tuple((node, lap) for lap in laps for node in Queue.of(lap.nodes, limits).left)


class Journals(Protocol):
    """What an upgrader needs of a journal: see `vdc.upgrade.journal.Journal`."""

    def open(self, begun: Begun) -> None:
        """Begin, or continue, an upgrade."""

    def done(self, node: str, direction: Direction) -> frozenset[str]:
        """Return the steps of a node that are done."""

    def latest(self, node: str) -> tuple[Direction | None, frozenset[str]]:
        """Return where a node was led last, and the steps of that which are done."""

    def begin(self, node: str, direction: Direction) -> None:
        """Write that a node is led somewhere."""

    def begin_anew(self, node: str, direction: Direction) -> None:
        """Write that a node is led somewhere from its first step on."""

    def record(self, node: str, direction: Direction, step: str) -> None:
        """Write that a step is done."""

    def finish(self) -> None:
        """Write that the upgrade is over."""


class LapJournal:
    """The lines of a journal that are of one round. Who leads the rounds says when the whole upgrade is over."""

    def __init__(self, whole: Journals, lap: str) -> None:
        self._whole = whole
        self._lap = lap

    def open(self, begun: Begun) -> None:
        """Begin, or continue, the whole upgrade."""
        self._whole.open(begun)

    def done(self, node: str, direction: Direction) -> frozenset[str]:
        """Return the steps of this round that are done."""
        return self._whole.done(self._line(node), direction)

    def latest(self, node: str) -> tuple[Direction | None, frozenset[str]]:
        """Return where a node was led last in this round."""
        return self._whole.latest(self._line(node))

    def begin(self, node: str, direction: Direction) -> None:
        """Write that a node begins this round."""
        self._whole.begin(self._line(node), direction)

    def begin_anew(self, node: str, direction: Direction) -> None:
        """Write that a node begins this round from its first step on."""
        self._whole.begin_anew(self._line(node), direction)

    def record(self, node: str, direction: Direction, step: str) -> None:
        """Write that a step of this round is done."""
        self._whole.record(self._line(node), direction, step)

    def finish(self) -> None:
        """Write nothing: a round is not the whole."""

    def _line(self, node: str) -> str:
        return f"{node}: {self._lap}"


def in_order(laps: Collection[Lap], direction: Direction) -> tuple[Lap, ...]:
    """Return rounds as they are gone: those back in the opposite order."""
    return tuple(laps) if direction is Direction.FORWARD else tuple(reversed(tuple(laps)))
