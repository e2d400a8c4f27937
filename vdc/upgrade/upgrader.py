"""Leads the nodes of a data centre from one release to another, or back: in the order of the queue, step by step.

What is done is in a journal. An upgrader that died is continued by another one, which does the step again that was not
in the journal yet; a node that runs the new release already, by the facts, is not touched.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from vdc.cluster.changing import changing
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, VdcError
from vdc.rolling.queue import Limits, Order, Queue
from vdc.upgrade.journal import Begun, Direction
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.rounds import Journals, LapJournal, Rounds, in_order
from vdc.upgrade.way import Step, Way


class NoReturnError(ClusterError):
    """The old release is out of reach; nothing was touched."""


class Moment(StrEnum):
    """Of a step: it is about to be begun; it was, and its facts are awaited; it is done; it is in the journal."""

    BEFORE = "before"
    BEGUN = "begun"
    DONE = "done"
    RECORDED = "recorded"


Boundary = Callable[[str, str, Moment], None]
"""Called with a node, a step and the moment: a test may end the upgrader there, or break something."""

_LIMITS: Final = Limits(order=Order.VOTERS_FIRST)


def limits_of(path: UpgradePath, *, at_once: int | None = None) -> Limits:
    """Return what the queue allows on a path: as many nodes away together as its row says, or `at_once`."""
    return Limits(at_once=at_once or path.at_once, order=Order.VOTERS_FIRST)


DIE: Final = "VDC_UPGRADE_DIE"
"""The environment variable that makes an upgrader kill itself at the next boundary of its kind, so that tests can see
another one resume: `begun`, `done` before a step is in the journal, or `recorded` after."""


def dying(node: str, step: str, moment: Moment) -> None:
    """Kill this process where a test wants it so."""
    del node, step
    if os.environ.get(DIE) == moment:
        os.kill(os.getpid(), signal.SIGKILL)


def _go_on(node: str, step: str, moment: Moment) -> None:
    del node, step, moment


def _looked_after() -> None:
    """Expect nothing: who leads the nodes knows that all is whole."""


@dataclass(frozen=True, kw_only=True)
class Upgrader:
    """Goes `way` with all its nodes. `begun` is what the journal says of it.

    `whole` returns once nobody is away and all serves, or raises WaitTimeout: nobody goes away before that. `lap` is
    the round that this one leads, of a way that has several.
    """

    dc: DataCenter
    way: Way
    begun: Begun
    journal: Journals
    limits: Limits = field(default=_LIMITS)
    boundary: Boundary = _go_on
    whole: Callable[[], None] = _looked_after
    lap: str = ""

    def run(self, *, most: int | None = None) -> tuple[str, ...]:
        """Give the nodes the new release and return those that got it; `most` of them at most, those before included.

        Where the way has several rounds, a node counts in each that it goes. No other process changes the cluster
        meanwhile.

        Raises:
            ClusterError, WaitTimeout: a step did not do what it is for; names node and step. Or another process is at
                it; nothing was touched.
        """
        with changing(self.dc, f"upgrade {self.begun.path}"):
            return self._run(most)

    def back(self, nodes: Collection[str] | None = None) -> tuple[str, ...]:
        """Give these nodes, by default all, the old release again; return those that had another one.

        Raises:
            ClusterError: there is no way back any more; nothing was touched. Or as `run`.
        """
        with changing(self.dc, f"upgrade {self.begun.path}, back"):
            return self._back(nodes)

    def _run(self, most: int | None) -> tuple[str, ...]:
        self.journal.open(self.begun)
        led, left = list[str](), most
        for each in self._rounds(Direction.FORWARD):
            half, others = each.placed(self.begun.target)
            done = len(each.way.nodes) - len(half) - len(others)
            room = len(others) if left is None else max(0, left - done - len(half))
            led += each.lead(half, others[:room], Direction.FORWARD)
            if room < len(others):
                return tuple(dict.fromkeys(led))
            left = None if left is None else left - len(each.way.nodes)
        if most is None:
            self.journal.finish()
        return tuple(dict.fromkeys(led))

    def _back(self, nodes: Collection[str] | None) -> tuple[str, ...]:
        self.journal.open(self.begun)
        work = [(each, *each.returning(nodes)) for each in self._rounds(Direction.BACK)]
        going = [name for _, half, others, _ in work for name in (*half, *others)]
        self._expect_order(work)
        if going and (why := self.way.no_return()) is not None:
            raise NoReturnError(
                f"{self.begun.path}: {', '.join(dict.fromkeys(going))} cannot go back to {self.begun.origin}: {why}",
                hint="that was the point of no return: the way is forward, or a restore of a backup",
            )
        led = [name for each, half, others, _ in work for name in each.lead(half, others, Direction.BACK)]
        if nodes is None:
            self.journal.finish()
        return tuple(dict.fromkeys(led))

    def _rounds(self, direction: Direction) -> tuple[Upgrader, ...]:
        """Return who leads each round of the way, in their order; only this one where the way has no rounds."""
        if not isinstance(self.way, Rounds):
            return (self,)
        laps = in_order(self.way.laps, direction)
        return tuple(
            replace(self, way=lap.way, journal=LapJournal(self.journal, lap.name), lap=lap.name) for lap in laps
        )

    def returning(self, nodes: Collection[str] | None) -> tuple[list[str], list[str], list[str]]:
        """Return which nodes are half-way, which others go back, and which that might stay. Raises ClusterError."""
        half, others = self.placed(self.begun.origin)
        if nodes is None:
            return half, others, []
        if left := [name for name in half if name not in nodes]:
            raise ClusterError(f"{', '.join(left)}: left half-way, so no other may go away", hint="name it, too")
        return half, [name for name in others if name in nodes], [name for name in others if name not in nodes]

    @staticmethod
    def _expect_order(work: Sequence[tuple[Upgrader, list[str], list[str], list[str]]]) -> None:
        """Raise ClusterError if a node would go back in a round while others stay ahead in one that comes after it."""
        for number, (_, _, _, stay) in enumerate(work):
            for each, half, others, _ in work[number + 1 :]:
                if stay and (half or others):
                    raise ClusterError(
                        f"{each.lap} of {', '.join([*half, *others])} cannot go back before {work[number][0].lap} of "
                        f"{', '.join(stay)}",
                        hint="name those, too: `--node`",
                    )

    def placed(self, release: str) -> tuple[list[str], list[str]]:
        """Return the nodes that somebody left half-way, and the others that do not run a release, in their order.

        Raises ClusterError: one is elsewhere, and not by the doing of this upgrade. Nothing was touched.
        """
        half, others = list[str](), list[str]()
        for node in Queue.of(self.way.nodes, self.limits).left:
            at = self.way.at(node)
            if self._is_half_way(node):
                half.append(node)
            elif at not in {self.begun.origin, self.begun.target}:
                raise ClusterError(
                    f"{node} runs {at}: neither {self.begun.origin} nor {self.begun.target}, so nobody was touched",
                    hint="an upgrade begins, and goes on, where all nodes run one or the other",
                )
            elif at != release:
                others.append(node)
        return half, others

    def _is_half_way(self, node: str) -> bool:
        """Return whether a node was led somewhere, and has steps left of that."""
        direction, done = self.journal.latest(node)
        return direction is not None and not {step.name for step in self._steps(node, direction)} <= done

    def _steps(self, node: str, direction: Direction) -> tuple[Step, ...]:
        return self.way.forward(node) if direction is Direction.FORWARD else self.way.back(node)

    def _left(self, node: str, direction: Direction) -> tuple[Step, ...]:
        """Return the steps of a node that are not in the journal."""
        done = self.journal.done(node, direction)
        return tuple(step for step in self._steps(node, direction) if step.name not in done)

    def lead(self, half: Sequence[str], others: Sequence[str], direction: Direction) -> tuple[str, ...]:
        """Lead first those that are away, then the others, in batches that may be away together."""
        left = list(half)
        for further in ((), others):
            if further:
                with self.dc.steps.step("wait until all is whole, before anybody goes away"):
                    self.whole()
            left = [*left, *further]
            while left:
                batch = self._next(left)
                self._together(batch, direction)
                self._expect_at(batch, direction)
                left = [name for name in left if name not in batch]
        return (*half, *others)

    def _next(self, left: Sequence[str]) -> tuple[str, ...]:
        """Return the first node that is left, and those that may be away at the same time."""
        nodes = [node for node in self.way.nodes if node.name in left]
        first = next(node for node in nodes if node.name == left[0])
        queue = Queue.of(nodes, self.limits).started(first.name)
        return (first.name, *(name for name in queue.ready(0.0) if name in left))

    def _expect_at(self, batch: Sequence[str], direction: Direction) -> None:
        release = self.begun.target if direction is Direction.FORWARD else self.begun.origin
        for name in batch:
            if (at := self.way.at(name)) != release:
                raise ClusterError(f"{name}: all steps to {release} are done, and it runs {at}")

    def _together(self, batch: Sequence[str], direction: Direction) -> None:
        """Do each step for all of a batch, then wait for all of it."""
        left = {name: self._left(name, direction) for name in batch}
        # where nothing is left the journal is wrong: it is not where those steps lead
        ways = {name: steps or self._steps(name, direction) for name, steps in left.items()}
        verb = "upgrade" if direction is Direction.FORWARD else "take back"
        what = f"{self.lap} of {', '.join(batch)}" if self.lap else ", ".join(batch)
        with self.dc.steps.step(f"{verb} {what}"):
            for node in batch:
                (self.journal.begin if left[node] else self.journal.begin_anew)(node, direction)
            for name in dict.fromkeys(step.name for steps in ways.values() for step in steps):
                self._do(name, {node: step for node in batch for step in ways[node] if step.name == name}, direction)

    def _do(self, name: str, steps: Mapping[str, Step], direction: Direction) -> None:
        """Do one step for the nodes that have it left."""
        for node, step in steps.items():
            self.boundary(node, name, Moment.BEFORE)
            with self.dc.steps.step(f"{node}: {name}"), self._telling(node, name):
                step.do()
            self.boundary(node, name, Moment.BEGUN)
        for node, step in steps.items():
            with self.dc.steps.step(f"{node}: {name}: wait"), self._telling(node, name):
                step.done()
            self.boundary(node, name, Moment.DONE)
            self.journal.record(node, direction, name)
            self.boundary(node, name, Moment.RECORDED)

    @contextmanager
    def _telling(self, node: str, step: str) -> Iterator[None]:
        """Have a failure of the body say of which node and step it is, and where to read on."""
        try:
            yield
        except VdcError as error:
            where = f"{self.begun.path}: {node}: {step}"
            console = self.dc.run_directory / "consoles" / f"{node}.log"
            log = f"its console is {console}" if console.exists() else f"what was done is in {self.dc.run_directory}"
            error.told_by(where, log)
            raise
