"""Whether registers behaved as if every operation had happened at one moment between its start and its end. Pure.

The search is that of Wing and Gong (Testing and Verifying Concurrent Objects, 1993) with the memory of Lowe (Testing
for Linearizability, 2017): a configuration, which is what has happened and what the register holds then, is looked at
once. Keys are judged one by one, since linearizability is local (Herlihy and Wing, 1990).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

from vdc.observe.ops import Operation, Outcome
from vdc.observe.verdict import Kind, Verdict, shown

MOST_CONFIGURATIONS: Final = 200_000
"""Of one key, beside two for each operation. What needs more has too much going on side by side: see `set_full`."""


def linearizable_register(
    operations: Iterable[Operation], *, most: int = MOST_CONFIGURATIONS, initial: str | None = None
) -> Verdict:
    """Judge whether writes and reads of each key can be put into one order that agrees with time and with each value.

    A write of unknown outcome may have happened, then or later, or never; a read of unknown outcome saw nothing. What
    failed did not happen.
    """
    by_key: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.ok or (operation.op != "read" and operation.outcome is not Outcome.FAILED):
            by_key.setdefault(operation.key, []).append(operation)
    bad, open_, reads, looked = [], [], 0, 0
    for key, mine in by_key.items():
        reads += sum(operation.op == "read" for operation in mine)
        search = _Search.of(mine, initial, most)
        stuck = search.stuck()
        looked += len(search.seen)
        if stuck is _TOO_MANY:
            open_.append(f"{key}: over {most} configurations")
        elif stuck is not None:
            bad.append(f"{key}: no order explains that {_told(stuck)}")
    figures = {"keys": float(len(by_key)), "reads": float(reads), "configurations": float(looked)}
    kind = Kind.INVALID if bad else Kind.UNKNOWN if open_ or not reads else Kind.VALID
    found = bad or open_ or (["nothing was read"] if not reads else [f"{len(by_key)} keys, {reads} reads"])
    return Verdict(kind=kind, checker="linearizable_register", message=shown(found), figures=figures)


_TOO_MANY: Final = Operation(op="", key="", value=None, start=0.0, end=0.0, outcome=Outcome.UNKNOWN, member="")


class _Configuration(NamedTuple):
    """What has happened: all operations before `first`, and of those after it the bits of `ahead`; and what then is
    there. `needed` of them had to happen.
    """

    first: int
    ahead: int
    value: str | None
    needed: int


@dataclass(slots=True)
class _Search:
    """The operations of one key in the order they started; one that may never have happened ends at infinity."""

    operations: Sequence[Operation]
    ends: Sequence[float]
    initial: str | None
    most: int
    seen: set[tuple[int, int, str | None]] = field(default_factory=set)

    @classmethod
    def of(cls, operations: Iterable[Operation], initial: str | None, most: int) -> _Search:
        mine = sorted(operations, key=lambda operation: operation.start)
        read = {operation.value for operation in mine if operation.op == "read"}
        # a write that may have happened, and that nobody saw, may as well not have happened
        mine = [operation for operation in mine if operation.ok or operation.value in read]
        ends = [operation.end if operation.ok else inf for operation in mine]
        return cls(mine, ends, initial, most + 2 * len(mine))

    def stuck(self) -> Operation | None:
        """Return the operation that no order explains, `_TOO_MANY`, or None if there is an order."""
        needed = sum(end < inf for end in self.ends)
        furthest = _Configuration(0, 0, self.initial, -1)
        stack = [_Configuration(0, 0, self.initial, 0)]
        while stack:
            now = self._read(stack.pop())
            if now.needed == needed:
                return None
            if now[:3] in self.seen:
                continue
            if len(self.seen) >= self.most:
                return _TOO_MANY
            self.seen.add(now[:3])
            furthest = max(furthest, now, key=lambda configuration: configuration.needed)
            stack += [self._after(now, number) for number in self._next(now) if self.operations[number].op == "write"]
        left = (n for n in range(furthest.first, len(self.ends)) if not furthest.ahead >> n - furthest.first & 1)
        return self.operations[min(left, key=lambda number: self.ends[number])]

    def _read(self, now: _Configuration) -> _Configuration:
        """Let all reads happen that may happen now and see what is there: that they do changes nothing."""
        while True:
            seeing = [n for n in self._next(now) if self._is_read(n) and self.operations[n].value == now.value]
            if not seeing:
                return now
            for number in seeing:
                now = self._after(now, number)

    def _is_read(self, number: int) -> bool:
        return self.operations[number].op == "read"

    def _after(self, now: _Configuration, number: int) -> _Configuration:
        ahead = now.ahead | 1 << number - now.first
        passed = (~ahead & ahead + 1).bit_length() - 1
        value = now.value if self._is_read(number) else self.operations[number].value
        return _Configuration(now.first + passed, ahead >> passed, value, now.needed + (self.ends[number] < inf))

    def _next(self, now: _Configuration) -> list[int]:
        """Return what may happen next: all that started before anything that is left has ended."""
        found: list[int] = []
        first_end = inf
        for number in range(now.first, len(self.operations)):
            if self.operations[number].start > first_end:
                break
            if not now.ahead >> number - now.first & 1:
                found.append(number)
                first_end = min(first_end, self.ends[number])
        return found


def _told(operation: Operation) -> str:
    did = "read" if operation.op == "read" else "written"
    return f"{operation.value!r} was {did} through {operation.member} at {operation.start:.3f}–{operation.end:.3f}"
