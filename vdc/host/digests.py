"""Digests of large files that are mostly holes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 20
_ZEROS: Final = bytes(_BLOCK)


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's size and its blocks that are not all zero, each after its number."""
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(size.to_bytes(8, "big"))
        with path.open("rb", buffering=0) as file:
            for number in _blocks_with_data(file.fileno(), size):
                block = os.pread(file.fileno(), _BLOCK, number * _BLOCK)
                if block != _ZEROS[: len(block)]:
                    digest.update(number.to_bytes(8, "big"))
                    digest.update(block)
    except FileNotFoundError:
        return "missing"
    return digest.hexdigest()


def _blocks_with_data(file: int, size: int) -> Iterator[int]:
    """Yield the numbers of the blocks of a file that may be not all zero (lseek(2), SEEK_DATA)."""
    number = 0
    while number * _BLOCK < size:
        try:
            found = os.lseek(file, number * _BLOCK, os.SEEK_DATA)
        except OSError:  # a hole to the end
            return
        number = max(number, found // _BLOCK)
        yield number
        number += 1
