"""Who may go away next: a queue of nodes that are restarted or upgraded in turn. Pure.

Never two voters (members of the control plane or of an etcd) are away at once, never nodes of two racks, and never more
than `Limits.at_once`. What is down already, whoever did it, counts. A node that could not go, or did not come back, is
tried again after a while that doubles, and after its patience the queue stops.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from vdc.errors import ClusterError
from vdc.model.topology import Topology

STOPS: Final = "the queue stops"
ONE_VOTER: Final = "another voter is away"
ONE_RACK: Final = "a node of another rack is away"


class Order(StrEnum):
    """When voters have their turn: one by one in any case."""

    VOTERS_LAST = "voters last"
    VOTERS_FIRST = "voters first"


class Phase(StrEnum):
    """How far a node is."""

    WAITING = "waiting"
    AWAY = "away"
    HELD = "held"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the queue. One in no rack (None) shares its rack with nobody. `votes`: it is a member of the control
    plane or of an etcd.
    """

    name: str
    rack: int | None
    role: str = ""
    votes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the queue allows. Times are seconds.

    `back_off` is how long a node waits after its first failed attempt; it doubles with each, up to `longest`. The queue
    stops at an attempt that fails `patience` after the first did.
    """

    at_once: int = 1
    order: Order = Order.VOTERS_LAST
    back_off: float = 2.0
    longest: float = 60.0
    patience: float = 600.0

    def __post_init__(self) -> None:
        """Raises ValueError: nothing could ever start, or a time makes no sense."""
        if self.at_once < 1 or self.back_off <= 0 or self.longest < self.back_off or self.patience < 0:
            raise ValueError(f"a queue with these limits makes no sense: {self}")

    def pause(self, attempts: int) -> float:
        """Return how long to wait after so many failed attempts."""
        return min(self.longest, self.back_off * 2.0 ** min(attempts - 1, 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How far one node is: `attempts` have failed, the first at `since`, the last for `reason`; `due` it goes again.

    `put_back` is what became of them: one that could not go, and then does not come back, begins to count anew.
    """

    phase: Phase = Phase.WAITING
    put_back: Phase | None = None
    attempts: int = 0
    since: float = 0.0
    due: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The nodes in their order, and how far each is. Every verb returns another queue."""

    nodes: tuple[Node, ...]
    limits: Limits = Limits()
    turns: Mapping[str, Turn] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, nodes: Iterable[Node], limits: Limits = Limits(), *, done: Collection[str] = ()) -> Self:
        """Return the queue of these nodes, of which some are done already. Raises ValueError: two have one name."""
        first = limits.order is Order.VOTERS_FIRST
        ordered = tuple(sorted(nodes, key=lambda node: (node.votes is not first, _rack(node), node.name)))
        names = [node.name for node in ordered]
        if len(set(names)) != len(names):
            raise ValueError(f"nodes of the same name: {', '.join(names)}")
        return cls(nodes=ordered, limits=limits, turns={name: Turn(phase=Phase.DONE) for name in names if name in done})

    @property
    def away(self) -> frozenset[str]:
        """Those that are away: on their way, or not come back."""
        return self._in({Phase.AWAY, Phase.FAILED})

    @property
    def done(self) -> frozenset[str]:
        """Those that had their turn."""
        return self._in({Phase.DONE})

    @property
    def left(self) -> tuple[str, ...]:
        """Those that are not done, in order."""
        return tuple(node.name for node in self.nodes if self.turn(node.name).phase is not Phase.DONE)

    def turn(self, name: str) -> Turn:
        """Return how far a node is. Raises KeyError: there is none of that name."""
        self._node(name)
        return self.turns.get(name, Turn())

    def ready(self, now: float, *, down: Collection[str] = (), held: Collection[str] = ()) -> tuple[str, ...]:
        """Return which nodes may go away at `now`, all of them together; none may have to wait for what is away.

        `down` are nodes that are away already, be they of the queue or not its doing; `held` must not go now. Voters do
        not go before the others are done, or the other way round. Raises KeyError: what is down is no node.
        """
        away = [self._node(name) for name in sorted(self.away | set(down))]
        found: list[str] = []
        for node in self._turn_now():
            turn, others = self.turn(node.name), [other for other in away if other.name != node.name]
            waits = node.name in held or turn.phase is Phase.AWAY or turn.due > now
            if not waits and self.obstacle(node, others) is None:
                away = [*others, node]
                found.append(node.name)
        return tuple(found)

    def obstacle(self, node: Node, away: Collection[Node]) -> str | None:
        """Return why a node may not go while these are away, or None."""
        if node.votes and any(other.votes for other in away):
            return ONE_VOTER
        if any(_rack(other) != _rack(node) for other in away):
            return ONE_RACK
        if len(away) >= self.limits.at_once:
            return f"{len(away)} are away, and {self.limits.at_once} may be"
        return None

    def obstacles(self, down: Collection[str] = ()) -> Mapping[str, str]:
        """Return why those whose turn it is may not go while these are down, too. Raises KeyError: one is no node."""
        away = [self._node(name) for name in sorted(self.away | set(down))]
        found = {node.name: self.obstacle(node, [each for each in away if each != node]) for node in self._turn_now()}
        return {name: why for name, why in found.items() if why is not None}

    def due(self, after: float = -math.inf) -> float | None:
        """Return when the next of those that were put back is due again `after` an instant, or None: nobody is."""
        put_back = (turn for turn in self.turns.values() if turn.phase in {Phase.HELD, Phase.FAILED})
        return min((turn.due for turn in put_back if turn.due > after), default=None)

    def started(self, name: str) -> Self:
        """Return the queue after a node went away."""
        return self._with(name, replace(self.turn(name), phase=Phase.AWAY))

    def finished(self, name: str) -> Self:
        """Return the queue after a node has come back as it must."""
        return self._with(name, replace(self.turn(name), phase=Phase.DONE))

    def held(self, name: str, reason: str, now: float) -> Self:
        """Return the queue after a node could not go, and has not been away. Raises ClusterError: patience is over."""
        return self._put_back(name, Phase.HELD, reason, now)

    def failed(self, name: str, reason: str, now: float) -> Self:
        """Return the queue after a node did not come back: it counts as away until it does.

        Raises ClusterError: patience is over.
        """
        return self._put_back(name, Phase.FAILED, reason, now)

    def _put_back(self, name: str, phase: Phase, reason: str, now: float) -> Self:
        turn = self.turn(name)
        attempts, since = (turn.attempts + 1, turn.since) if turn.put_back is phase else (1, now)
        if attempts > 1 and now - since >= self.limits.patience:
            left = [each for each in self.left if each != name]
            raise ClusterError(
                f"{name}: {STOPS}: {attempts} attempts in {now - since:.0f} s, the last: {reason}",
                hint=f"not done yet: {', '.join(left)}" if left else None,
            )
        due = now + self.limits.pause(attempts)
        again = Turn(phase=phase, put_back=phase, attempts=attempts, since=since, due=due, reason=reason)
        return self._with(name, again)

    def _turn_now(self) -> tuple[Node, ...]:
        """Return those that are not done of the group whose turn it is."""
        left = [node for node in self.nodes if self.turn(node.name).phase is not Phase.DONE]
        return tuple(node for node in left if node.votes is left[0].votes)

    def _in(self, phases: Collection[Phase]) -> frozenset[str]:
        return frozenset(node.name for node in self.nodes if self.turn(node.name).phase in phases)

    def _node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name!r} in the queue; there are {', '.join(node.name for node in self.nodes)}")

    def _with(self, name: str, turn: Turn) -> Self:
        return replace(self, turns=MappingProxyType({**self.turns, name: turn}))


def nodes_of(topology: Topology) -> tuple[Node, ...]:
    """Return the members of a topology's cluster: of a Kubernetes its control planes vote, else every member does."""
    voters = None if topology.kubernetes is None else frozenset(topology.kubernetes.control_planes)
    return tuple(
        Node(
            name=server.name,
            rack=server.rack,
            role=server.role,
            votes=voters is None or server.name in voters,
        )
        for server in topology.members
    )


def _rack(node: Node) -> tuple[float, str]:
    """Return what tells racks apart; one in none is alone, after all racks."""
    return (float("inf"), node.name) if node.rack is None else (float(node.rack), "")
