"""Numbered packets over a wire: what is sent, and what came of it. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvo:
    """IP packets of `size` bytes, numbered from 0, one every `interval`; `linger` is how long the last may take."""

    count: int
    size: int = 100
    interval: float = 0.001
    linger: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A packet that came, `seconds` after it was sent, at the time `at`; what is not `intact` was changed on its way.

    The number of a changed one may not be true.
    """

    number: int
    at: float
    seconds: float
    intact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """What came of the packets of one direction, in the order of their coming.

    `sent` are as many as set out. One that is `echoed` was seen only as the answer of the device at the far end, which
    does not answer what was changed.
    """

    sent: int
    size: int
    arrivals: tuple[Arrival, ...]
    echoed: bool = False
