"""What can be done to the packets of a wire on purpose, while a fault lasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from vdc.model.texts import duration_text, rate_text
from vdc.model.values import parse_duration, parse_rate, parse_share

LEAST_SHARE: Final = 0.005
"""The smallest share of packets that some thousand numbered ones prove."""

HELD_BACK: Final = 0.01
"""Seconds by which a reordered packet comes later than it would."""

SMALLEST_MTU: Final = 576
"""Bytes that every host must take (RFC 791)."""

_SHARES: Final = ("loss", "reorder", "duplicate", "corrupt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What happens to the packets of one direction.

    `delay` in seconds, more or less by up to `jitter`, which changes no order. Of all packets `loss`, `reorder`,
    `duplicate` and `corrupt` (each from 0 to 1) are lost, held back for `HELD_BACK` seconds, doubled, or have a bit
    turned round. `rate` is in bits per second. IP packets of more than `mtu` bytes vanish, and nobody is told. 0 means
    that nothing is done.

    Raises ValueError: that is no such thing, or so little that nobody could prove it.
    """

    delay: float = field(default=0.0, metadata={"parse": parse_duration, "like": "100ms"})
    jitter: float = field(default=0.0, metadata={"parse": parse_duration, "like": "20ms"})
    loss: float = field(default=0.0, metadata={"parse": parse_share, "like": "10%"})
    reorder: float = field(default=0.0, metadata={"parse": parse_share, "like": "10%"})
    duplicate: float = field(default=0.0, metadata={"parse": parse_share, "like": "10%"})
    corrupt: float = field(default=0.0, metadata={"parse": parse_share, "like": "10%"})
    rate: int = field(default=0, metadata={"parse": parse_rate, "like": "10Mbit"})
    mtu: int = field(default=0, metadata={"like": "BYTES"})

    def __post_init__(self) -> None:
        for name in _SHARES:
            share = getattr(self, name)
            if share and not LEAST_SHARE <= share <= 1:
                raise ValueError(f"{name} must be from {LEAST_SHARE:.1%} to 100%, or nobody could prove it")
        if self.jitter > self.delay:
            raise ValueError("jitter must be at most the delay: no packet comes before it was sent")
        if self.delay and self.delay < _LEAST_DELAY:
            raise ValueError(f"a delay must be at least {duration_text(_LEAST_DELAY)}, or nobody could prove it")
        if self.duplicate and self.corrupt:
            raise ValueError("duplicate and corrupt together could not be told from loss")
        if self.rate and not _SLOWEST <= self.rate <= _FASTEST:
            raise ValueError(f"a rate must be from {rate_text(_SLOWEST)} to {rate_text(_FASTEST)}")
        if self.mtu and self.mtu < SMALLEST_MTU:
            raise ValueError(f"an MTU must be at least {SMALLEST_MTU} bytes")

    @property
    def relayed(self) -> bool:
        """Whether each packet must be held, doubled or changed, which only a process can do."""
        return any((self.delay, self.jitter, self.reorder, self.duplicate, self.corrupt, self.rate))

    def __bool__(self) -> bool:
        return self.relayed or bool(self.loss or self.mtu)

    def __str__(self) -> str:
        return ", ".join(self._texts()) or "nothing"

    def _texts(self) -> Iterator[str]:
        for name in ("delay", "jitter"):
            if seconds := getattr(self, name):
                yield f"{name} {duration_text(seconds)}"
        for name in _SHARES:
            if share := getattr(self, name):
                yield f"{name} {100 * share:.3g} %"
        if self.rate:
            yield f"rate {rate_text(self.rate)}"
        if self.mtu:
            yield f"packets of more than {self.mtu} B vanish"


_LEAST_DELAY: Final = 0.005
_SLOWEST, _FASTEST = 100_000, 100_000_000

UNDISTURBED: Final = Disturbance()
"""Nothing is done."""
