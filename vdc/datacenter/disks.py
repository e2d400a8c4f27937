"""What a fault may do to a disk of a server, from beneath it, and what the guest then finds: a protocol."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Operation(StrEnum):
    """What a guest does with a disk: all past its page cache. `GROW` gives a file more blocks than it had."""

    READ = "read"
    WRITE = "write"
    FLUSH = "flush"
    GROW = "grow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of some operations in a row: how many seconds they took, and what the guest said if one failed."""

    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a disk with a volatile cache made of writes when the power went.

    Of `unflushed` writes, which no flush had followed, `lost` are gone and `torn` are there in part. `kept` were safe.
    """

    kept: int
    unflushed: int
    lost: int
    torn: int


class Disk(Protocol):
    """A disk of a server. What is done to it has a `key`, by which another process undoes it."""

    def lacks(self) -> str | None:
        """Return why it cannot be struck, or None."""

    def lacks_files(self) -> str | None:
        """Return why it cannot be filled, or None: that is done in the guest, so it may be the root disk, too."""

    def layers(self) -> tuple[str, ...]:
        """Return the keys of all that is between the guest and its image now."""

    def slow(self, key: str, operations: int) -> None:
        """Serve at most so many reads and writes a second. Raises BuildError."""

    def fail(self, key: str, operations: Collection[Operation]) -> None:
        """Fail these (not `GROW`) with an I/O error. Raises BuildError."""

    def pull(self) -> None:
        """Pull it out of the running guest; it is there again when the server is started from cold."""

    def fill(self) -> None:
        """Take all that is free in its file system. Raises CommandError."""

    def empty(self) -> None:
        """Give back what `fill` took, if it did."""

    def damage(self, key: str, file: str, sectors: int, seed: int) -> None:
        """Flip a bit in some sectors of a file, drawn by `seed`. Raises InputError: it has not so many."""

    def damaged(self, key: str) -> int:
        """Return how many of these sectors the guest reads as damaged now."""

    def cut_power(self, key: str, seed: int) -> Loss:
        """Cut the power of the server at an instant when writes are not flushed, and lose or tear some of them.

        They are drawn by `seed`. Raises WaitTimeout: there is no such instant.
        """

    def restore(self, key: str) -> None:
        """Undo all that has this key; what is not there is fine."""

    def tidy(self, key: str) -> None:
        """Remove what trials have left in its file system, and what was kept to undo what has this key."""

    def trial(self, operation: Operation, count: int = 1) -> Trial:
        """Let the guest do something so many times, by 4 KiB, and return what came of it.

        Raises NotYet: it does not answer.
        """
