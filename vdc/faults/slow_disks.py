"""A disk that is slow: how much so is measured before, meanwhile and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.datacenter.disks import Operation, Trial
from vdc.datacenter.pace import deadline
from vdc.errors import HarnessTimeout, WaitTimeout
from vdc.faults.base import Word
from vdc.faults.disks import DiskFault, said
from vdc.wait import NotYet, wait_for

_COUNT: Final = 16
"""How many operations in a row tell how fast a disk is; of a very slow one fewer, since others use it too."""
_MOST: Final = 50
_ALLOWED_AT_ONCE: Final = 2  # QEMU lets a tenth of a second's worth pass, or the first one, before it throttles
_CERTAIN: Final = 0.8


@dataclass(frozen=True, slots=True)
class DiskSlow(DiskFault):
    """A disk serves only so many reads and writes a second."""

    server: str
    disk: Word = "data"
    operations: int = 10

    def __post_init__(self) -> None:
        """Raises ValueError: so fast that nobody could tell."""
        if not 1 <= self.operations <= _MOST:
            raise ValueError(f"a slow disk serves 1 to {_MOST} operations a second")

    @property
    def name(self) -> str:
        """`disk DISK of SERVER slow`."""
        return f"disk {self.disk} of {self.server} slow"

    def inject(self, dc: DataCenter) -> None:
        """Throttle it. How fast it is before, meanwhile and afterwards is in the history."""
        what = f"disk {self.disk} of {self.server} to be faster than it shall be"
        try:
            wait_for(lambda: self._expect_fast(dc), what=what, timeout=deadline(dc, self.bite_seconds))
        except WaitTimeout as error:  # the cluster has no part in it
            raise HarnessTimeout(error.what, deadline=error.deadline, last=error.last) from error
        self._disk(dc).slow(self.key, self.operations)

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """Reads and writes take as long as they must at this rate, and by its doing; or less."""
        if not struck:
            self._expect_fast(dc)
            return
        if self.key not in self._disk(dc).layers():
            raise NotYet(f"nothing slows disk {self.disk} of {self.server}")
        for operation, seen in self._measure(dc).items():
            if seen.error or seen.seconds < self._least:
                raise NotYet(said(operation, seen))

    def _expect_fast(self, dc: DataCenter) -> None:
        for operation, seen in self._measure(dc).items():
            if seen.error or seen.seconds >= self._least:
                raise NotYet(said(operation, seen))

    @property
    def _count(self) -> int:
        return min(_COUNT, 4 * self.operations)

    @property
    def _least(self) -> float:
        """How many seconds so many operations take at least."""
        return _CERTAIN * (self._count - _ALLOWED_AT_ONCE) / self.operations

    def _measure(self, dc: DataCenter) -> Mapping[Operation, Trial]:
        """Return what came of some writes and some reads, and note it."""
        seen = {each: self._disk(dc).trial(each, self._count) for each in (Operation.WRITE, Operation.READ)}
        told = {operation.value: trial.error or trial.seconds for operation, trial in seen.items()}
        dc.recorder.record("note", "disk", server=self.server, disk=self.disk, operations=self._count, seconds=told)
        return seen
