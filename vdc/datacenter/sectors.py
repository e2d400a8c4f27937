"""Which sectors of a disk a file has, and bits that flip in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Final

from vdc.errors import InputError
from vdc.host.write_log import SECTOR

_EXTENT: Final = re.compile(r"^ *\d+: +(\d+)\.\. *(\d+): +(\d+)\.\.(.*)$", re.MULTILINE)
_BLOCK: Final = re.compile(r"blocks? of (\d+) bytes")
_NOWHERE: Final = ("unwritten", "inline", "delalloc", "unknown_loc")


def sectors_of(filefrag: str) -> list[int]:
    """Return the sectors of a disk that a file has written, from what `filefrag -e -v` says of it (filefrag(8))."""
    size = _BLOCK.search(filefrag)
    if size is None:
        raise InputError(f"filefrag does not say where the file is: {filefrag[-200:]}")
    written = (each for each in _EXTENT.finditer(filefrag) if not any(mark in each[4] for mark in _NOWHERE))
    return [sector for extent in written for sector in _sectors(extent, int(size[1]))]


def _sectors(extent: re.Match[str], size: int) -> Iterator[int]:
    first, last, start = (int(number) for number in extent.groups()[:3])
    yield from range(start * size // SECTOR, (start + last - first + 1) * size // SECTOR)


def flipped(data: bytes, dice: Random) -> bytes:
    """Return data with one bit turned over."""
    place = dice.randrange(8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)
