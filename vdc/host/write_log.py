"""The log of all that a guest wrote to a disk, and what of it is on the disk after the power went. Pure.

QEMU writes it (QEMU, block/blklogwrites.c) in the format of Linux's dm-log-writes: a super block, then entries with
their data, all in units of a sector. A disk with a volatile write cache has promised nothing but what was written
before a flush had ended, or was written through (virtio 1.2, 5.2.6.2); so what is lost is drawn from the other writes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

SECTOR: Final = 512

_MAGIC: Final = 0x6A736677736872
_SUPER: Final = struct.Struct("<QQQI")
_ENTRY: Final = struct.Struct("<QQQQ")
_FLUSH, _THROUGH, _DISCARD = 1, 2, 4  # flags of an entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A write of `data` from a sector on, or none. `flush`: it ended after all before it were safe; `through`: it was
    safe when it ended.
    """

    sector: int = 0
    data: bytes = b""
    flush: bool = False
    through: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The sectors that the disk has after the power went, and how many writes came to what (see `Loss`)."""

    sectors: Mapping[int, bytes]
    kept: int
    unflushed: int
    lost: int
    torn: int


def parse(log: bytes) -> Iterator[Entry]:
    """Yield what a log tells, up to where it ends or was cut off. Raises ValueError: it is no such log.

    QEMU writes the super block with the first flush.
    """
    if len(log) < _SUPER.size:
        return
    magic, version, _, size = _SUPER.unpack_from(log)
    if (magic, version, size) not in {(_MAGIC, 1, SECTOR), (0, 0, 0)}:
        raise ValueError("it is no log of writes, or has sectors of another size")
    at = SECTOR
    while at + SECTOR <= len(log):
        sector, count, flags, _ = _ENTRY.unpack_from(log, at)
        if not count and not flags:  # nothing was written there yet
            return
        length = 0 if flags & _DISCARD else count * SECTOR
        if at + SECTOR + length > len(log):
            return
        data = log[at + SECTOR : at + SECTOR + length]
        yield Entry(sector=sector, data=data, flush=bool(flags & _FLUSH), through=bool(flags & _THROUGH))
        at += SECTOR + length


def unflushed(entries: Iterable[Entry]) -> int:
    """Return how many writes are not safe."""
    return sum(1 for _ in _volatile(tuple(entries)))


def after_power_loss(entries: Sequence[Entry], dice: Random) -> Outcome:
    """Return what the disk has in the end: all that was safe, and of each other write nothing, all, or some sectors.

    At least one is lost or torn, if there is one.
    """
    volatile = frozenset(_volatile(entries))
    victim = dice.choice(sorted(volatile)) if volatile else None
    fates = {number: _fate(entries[number], dice, spared=number != victim) for number in sorted(volatile)}
    sectors: dict[int, bytes] = {}
    for number, entry in enumerate(entries):
        for place in fates.get(number, range(len(entry.data) // SECTOR)):
            sectors[entry.sector + place] = entry.data[place * SECTOR : (place + 1) * SECTOR]
    whole = sum(1 for number, kept in fates.items() if len(kept) * SECTOR == len(entries[number].data))
    lost = sum(1 for kept in fates.values() if not kept)
    writes = sum(1 for entry in entries if entry.data)
    return Outcome(
        sectors=sectors,
        kept=writes - len(volatile),
        unflushed=len(volatile),
        lost=lost,
        torn=len(volatile) - whole - lost,
    )


def extents(sectors: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield sectors that follow one another as one piece: the first's number, and their data."""
    pieces: list[bytes] = []
    first = 0
    for number in sorted(sectors):
        if pieces and number != first + len(pieces):
            yield first, b"".join(pieces)
            pieces = []
        if not pieces:
            first = number
        pieces.append(sectors[number])
    if pieces:
        yield first, b"".join(pieces)


def _volatile(entries: Sequence[Entry]) -> Iterator[int]:
    """Yield the places of the writes that are not safe."""
    flushes = [place for place, entry in enumerate(entries) if entry.flush]
    last = flushes[-1] if flushes else -1
    for place, entry in enumerate(entries):
        if place > last and entry.data and not entry.through:
            yield place


def _fate(entry: Entry, dice: Random, *, spared: bool) -> Sequence[int]:
    """Return which sectors of a write are kept; of one that is not spared, not all."""
    count = len(entry.data) // SECTOR
    fates = ["lost", "torn", "whole"] if spared else ["lost", "torn"]
    match dice.choice(fates):
        case "whole":
            return range(count)
        case "torn" if count > 1:
            return sorted(dice.sample(range(count), dice.randint(1, count - 1)))
        case _:
            return ()
