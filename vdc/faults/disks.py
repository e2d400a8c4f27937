"""Faults of disks, from beneath the guest: it sees a disk that is slow, fails, is full or gone, forgets or lies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vdc.datacenter.api import DataCenter, Power
from vdc.datacenter.disks import Disk, Operation, Trial
from vdc.errors import CommandError, HarnessTimeout, InputError, WaitTimeout
from vdc.faults.base import Fault, Word
from vdc.faults.hangs import start_anew
from vdc.faults.sight import expect_power, neighbours_back, neighbours_lost
from vdc.wait import NotYet

_FAILED: Final = "Input/output error"
_COMPLAINTS: Final[Mapping[Operation, tuple[str, ...]]] = {
    Operation.READ: (_FAILED,),
    Operation.WRITE: (_FAILED, "Read-only file system"),  # ext4 makes itself so when its journal fails
    Operation.FLUSH: (_FAILED, "Read-only file system"),
}


class DiskFault(Fault):
    """Something is wrong with a disk of a server."""

    needs = "a virtio disk with a file system that the guest has mounted, of a server that runs a release of ours"

    server: str
    disk: Word

    @abstractmethod
    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """Return if the guest finds the disk as it should be; raises NotYet otherwise."""

    def missing(self, dc: DataCenter) -> str | None:
        """Return why this disk cannot be struck."""
        if self.server not in dc.servers:
            return f"there is no server {self.server}"
        try:
            return self.why_not(self._disk(dc))
        except InputError as error:
            return error.message

    def why_not(self, disk: Disk) -> str | None:
        """Return why a disk cannot be struck so."""
        return disk.lacks()

    def bites(self, dc: DataCenter) -> None:
        """The guest finds it so, past its page cache."""
        self.expect(dc, struck=True)

    def heal(self, dc: DataCenter) -> None:
        """Take away what is beneath the disk."""
        self._disk(dc).restore(self.key)

    def healed(self, dc: DataCenter) -> None:
        """Nothing is beneath it any more, and the guest finds it well."""
        if left := self._disk(dc).layers():
            raise NotYet(f"disk {self.disk} of {self.server} still has {', '.join(left)}")
        self.expect(dc, struck=False)
        self._disk(dc).tidy(self.key)

    def expect_trial(self, dc: DataCenter, operation: Operation, *complaints: str) -> None:
        """Return if what the guest tries fails, and it complains so; without complaints, if it does not fail.

        Raises NotYet.
        """
        seen = self._disk(dc).trial(operation)
        if not any(each in seen.error for each in complaints) if complaints else seen.error:
            raise NotYet(said(operation, seen))

    def _disk(self, dc: DataCenter) -> Disk:
        return dc.servers[self.server].disk(self.disk)


class _Broken(DiskFault):
    """One that a file system does not get over: the server is restarted when it is healed."""

    def heal(self, dc: DataCenter) -> None:
        """Take away what is beneath the disk, and press the reset button."""
        self._disk(dc).restore(self.key)
        start_anew(dc.servers[self.server])

    def healed(self, dc: DataCenter) -> None:
        """The guest finds it well, and every ToR has its sessions with the server again."""
        DiskFault.healed(self, dc)
        neighbours_back(dc, (self.server,))

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)


@dataclass(frozen=True, slots=True)
class DiskErrors(_Broken):
    """Some kinds of operations of a disk fail with an I/O error: read, write, flush."""

    server: str
    operations: tuple[Operation, ...]
    disk: Word = "data"

    def __post_init__(self) -> None:
        """Raises ValueError: nothing fails, or what a disk does not do."""
        if not self.operations or Operation.GROW in self.operations:
            raise ValueError("of read, write and flush, some fail")

    @property
    def name(self) -> str:
        """`disk DISK of SERVER fails to OPERATION, …`."""
        return f"disk {self.disk} of {self.server} fails to {', '.join(self.operations)}"

    def inject(self, dc: DataCenter) -> None:
        """Let them fail."""
        self._disk(dc).fail(self.key, self.operations)

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """They fail, each; or none does."""
        for operation in self.operations:
            self.expect_trial(dc, operation, *(_COMPLAINTS[operation] if struck else ()))


@dataclass(frozen=True, slots=True)
class DiskGone(_Broken):
    """A disk is pulled out of the running server."""

    server: str
    disk: Word = "data"

    @property
    def name(self) -> str:
        """`disk DISK of SERVER gone`."""
        return f"disk {self.disk} of {self.server} gone"

    def inject(self, dc: DataCenter) -> None:
        """Pull it."""
        self._disk(dc).pull()

    def heal(self, dc: DataCenter) -> None:
        """Switch the server off, and on again with the disk."""
        dc.servers[self.server].power_off()
        dc.servers[self.server].power_on()

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """The guest has no such disk; or reads and writes it."""
        for operation in (Operation.READ, Operation.FLUSH):
            self.expect_trial(dc, operation, *(("there is no disk",) if struck else ()))


@dataclass(frozen=True, slots=True)
class DiskFull(DiskFault):
    """No file system block of a disk is free. It is filled from inside: that is where a disk gets full."""

    server: str
    disk: Word = "data"

    @property
    def name(self) -> str:
        """`disk DISK of SERVER full`."""
        return f"disk {self.disk} of {self.server} full"

    def why_not(self, disk: Disk) -> str | None:
        """Return why it cannot be filled: `root` can, too."""
        return disk.lacks_files()

    def inject(self, dc: DataCenter) -> None:
        """Take what is free."""
        self._disk(dc).fill()

    def heal(self, dc: DataCenter) -> None:
        """Give it back."""
        self._disk(dc).empty()

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """A file cannot grow; or can."""
        self.expect_trial(dc, Operation.GROW, *(("No space left on device",) if struck else ()))


@dataclass(frozen=True, slots=True)
class DiskDamaged(DiskFault):
    """Bits of a file have flipped on a disk, one in each of some sectors drawn by the seed."""

    server: str
    file: Word
    sectors: int = 1
    seed: int = 0
    disk: Word = "data"

    @property
    def name(self) -> str:
        """`bits of FILE flipped on disk DISK of SERVER`."""
        return f"bits of {self.file} flipped on disk {self.disk} of {self.server}"

    def inject(self, dc: DataCenter) -> None:
        """Flip them."""
        self._disk(dc).damage(self.key, self.file, self.sectors, self.seed)

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """The guest reads damaged sectors; or none."""
        try:
            seen = self._disk(dc).damaged(self.key)
        except (CommandError, WaitTimeout) as error:
            raise NotYet(f"{self.server} does not tell: {error.message}") from error
        if bool(seen) is not struck:
            raise NotYet(f"the guest reads {seen} damaged sectors")


@dataclass(frozen=True, slots=True)
class PowerLost(DiskFault):
    """A server loses its power while it writes, and its disk what was not flushed: some writes are lost, some torn.

    (`ServersOff` is kinder: there the disk keeps all that it took.)
    """

    server: str
    disk: Word = "data"
    seed: int = 0

    @property
    def name(self) -> str:
        """`SERVER without power, and disk DISK without what was not flushed`."""
        return f"{self.server} without power, and disk {self.disk} without what was not flushed"

    def silences(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)

    def inject(self, dc: DataCenter) -> None:
        """Cut the power at such an instant. What came of the writes is in the history."""
        try:
            loss = self._disk(dc).cut_power(self.key, self.seed)
        except WaitTimeout as error:  # the cluster has no part in it
            raise HarnessTimeout(error.what, deadline=error.deadline, last=error.last) from error
        dc.recorder.record("power", "harness", server=self.server, action="cut")
        told = {"kept": loss.kept, "unflushed": loss.unflushed, "lost": loss.lost, "torn": loss.torn}
        dc.recorder.record("note", "disk", server=self.server, disk=self.disk, **told)
        if not loss.lost + loss.torn:
            raise HarnessTimeout("a write to lose", deadline=0.0, last=f"{loss.kept} writes, and all were flushed")

    def bites(self, dc: DataCenter) -> None:
        """It is off, and every ToR has lost its sessions with it."""
        expect_power(dc, self.server, Power.OFF)
        neighbours_lost(dc, (self.server,))

    def heal(self, dc: DataCenter) -> None:
        """Give the power back."""
        self._disk(dc).restore(self.key)
        dc.servers[self.server].power_on()

    def healed(self, dc: DataCenter) -> None:
        """The guest reads and writes the disk, and every ToR has its sessions with the server again."""
        DiskFault.healed(self, dc)
        neighbours_back(dc, (self.server,))

    def expect(self, dc: DataCenter, *, struck: bool) -> None:
        """It is read and written."""
        del struck
        for operation in (Operation.READ, Operation.FLUSH):
            self.expect_trial(dc, operation)

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the server."""
        return (self.server,)


def said(operation: Operation, trial: Trial) -> str:
    """Return what came of it, for people."""
    return f"{operation}: {trial.error or f'{trial.seconds:.3f} s'}"
