"""What a lab finds out: figures, and what they were taken of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A data centre with etcd on it, and how long it took from nothing until etcd served."""

    dc: LiveDataCenter
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint, and how long saving it took."""

    checkpoint: Checkpoint
    seconds: float


class Came(NamedTuple):
    """The seconds from nothing until a fabric had converged and until nothing was left of it; the memory it took.

    Memory is in bytes, of the whole host.
    """

    converged: float
    down: float
    memory: int


class Ready(NamedTuple):
    """The seconds from nothing, and from a checkpoint, until Kubernetes serves and all its nodes are Ready.

    `idle` is what the busiest control plane then takes of one core while nobody asks for anything.
    """

    nothing: float
    checkpoint: float
    idle: float


class Planned(NamedTuple):
    """The seconds that validating, expanding and planning took, and the most memory, in bytes."""

    seconds: float
    memory: int


class Drawn(NamedTuple):
    """The seconds that the report of a long run took to be made and to be opened, if there is a browser; its bytes."""

    made: float
    size: int
    opened: float | None
