"""How nodes come from a release to another: steps, each of which can be done again, and waits for facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vdc.rolling.queue import Node


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done to a node.

    `do` may be called again whatever became of it the first time, also if it was cut off anywhere. `done` returns once
    the facts hold that the step is for; it raises WaitTimeout or ClusterError.
    """

    name: str
    do: Callable[[], None]
    done: Callable[[], None]


class Way(Protocol):
    """A way to give nodes another release, and to take it back."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that are to have the new release, as the queue wants them."""

    def at(self, node: str) -> str:
        """Return which release a node runs, by what it says and what the host sees, never by what was done to it.

        A node between two releases is at something that is neither: a text for people.
        """

    def forward(self, node: str) -> tuple[Step, ...]:
        """Return the steps that give a node the new release, in their order; no two have one name."""

    def back(self, node: str) -> tuple[Step, ...]:
        """Return the steps that give a node the old release again."""

    def no_return(self) -> str | None:
        """Return why no node can have the old release any more, or None: one can, as far as is known."""
