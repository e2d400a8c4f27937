"""The lease of a fault: it is healed if the process that injected it dies, or holds it for too long.

Before a fault is injected a file in the run directory says what it is. Whoever injects holds the lock of the file; a
process of the data centre (`vdc.host.keeper`) waits for that lock and for the end of the time, and then heals by
running this module:

    python -m vdc.faults.lease FILE WHY

It is let go only by who has healed, under a lock of its own, so that nobody heals twice; what could not be healed stays
there to be read and to be tried again (`vdc fault heal`).

A data centre in memory dies with whoever holds its faults, so there is nothing to keep.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import HarnessTimeout, VdcError
from vdc.host import keeping
from vdc.host.claims import PLAN
from vdc.host.namespaces import identity

if TYPE_CHECKING:
    from vdc.faults.base import Fault

FOLDER: Final = "leases"
"""In the run directory of a data centre: a file for each fault that is in effect."""

_KEPT_SECONDS: Final = 20.0
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that is held; without a `file` there is nothing to be kept."""

    file: Path | None = None
    seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def expect_kept(self, dc: DataCenter) -> None:
        """Wait until somebody stands by to heal. Raises WaitTimeout: nobody does, so nothing may be broken for long."""
        if self.file is not None:
            keeping.wait_standing_by(self.file, timeout=deadline(dc, _KEPT_SECONDS))

    def expect_current(self, name: str) -> None:
        """Pass if the lease has not run out. Raises HarnessTimeout: it has, and the fault was healed meanwhile."""
        if self.file is None:
            return
        with _alone(self.file):  # whoever heals right now removes it when that is done
            if not self.file.exists() or time.monotonic() - self.began >= self.seconds:
                raise HarnessTimeout(f"the body under {name}", deadline=self.seconds, last="the lease ran out")

    @contextmanager
    def healing(self) -> Iterator[bool]:
        """Heal alone in the body, which is told whether there is anything to undo: the keeper may have healed it.

        The lease is let go if the body does not raise; else the keeper tries it once more.
        """
        if self.file is None:
            yield True
            return
        with _alone(self.file):
            yield self.file.exists()
            keeping.let_go(self.file)


@contextmanager
def leased(dc: DataCenter, fault: Fault, seconds: float) -> Iterator[Lease]:
    """Hold a lease of `seconds` on a fault for the body.

    One that cannot be written as data has none; the history says so.
    """
    from vdc.faults.catalogue import import_path, to_record

    if identity(_namespace(dc)) is None or not (dc.run_directory / PLAN).exists():
        yield Lease()
        return
    try:
        record = to_record(fault)
    except TypeError as error:
        dc.recorder.record("note", "lease", name=fault.name, why=f"it has no lease: {error}")
        yield Lease()
        return
    file = dc.run_directory / FOLDER / f"{uuid.uuid4().hex[:12]}.json"
    handle = _write(
        file, {"name": fault.name, "fault": record, "holder": os.getpid(), "path": import_path(type(fault))}
    )
    try:
        lasts = max(_SHORTEST, seconds)
        _keep(dc, file, lasts)
        yield Lease(file=file, seconds=lasts)
    finally:
        os.close(handle)


def held(run_directory: Path) -> tuple[Mapping[str, Any], ...]:
    """Return what the leases of a data centre say, with the `file` of each."""
    found = []
    for file in sorted((run_directory / FOLDER).glob("*.json")):
        with suppress(FileNotFoundError):  # it was let go meanwhile
            found.append({**json.loads(file.read_text(encoding="utf-8")), "file": str(file)})
    return tuple(found)


def is_held(file: Path) -> bool:
    """Return whether a process holds a lease."""
    with _unheld(file) as free:
        return not free and file.exists()


def heal_orphans(dc: DataCenter) -> tuple[str, ...]:
    """Heal the faults of a data centre that nobody holds any more, and return their names.

    All are tried. Raises HealError: one did not heal; InputError: one is of no kind that is known here.
    """
    healed, failed = [], []
    for lease in held(dc.run_directory):
        try:
            with _unheld(Path(lease["file"])) as free:
                if free and _heal(dc, Path(lease["file"]), "nobody holds it"):
                    healed.append(lease["name"])
        except VdcError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return tuple(healed)


def main(argv: Sequence[str]) -> None:
    """Heal what a lease says, as its keeper does; the history tells why."""
    from vdc.datacenter.lifecycle import attach
    from vdc.settings import Settings
    from vdc.steps import Steps

    path, why = argv
    file = Path(path)
    run_directory = file.parent.parent
    settings = replace(Settings.from_environment(), state_dir=run_directory.parent)
    _heal(attach(run_directory.name, settings, Steps()), file, why)


def _heal(dc: DataCenter, file: Path, why: str) -> bool:
    """Heal what a lease says and let it go, and return whether there was anything to heal."""
    from vdc.faults.base import heal
    from vdc.faults.catalogue import from_record

    with _alone(file):
        if not file.exists():  # it was let go meanwhile
            return False
        lease = json.loads(file.read_text(encoding="utf-8"))
        dc.recorder.record("note", "lease", name=lease["name"], why=why)
        try:
            sys.path += [each for each in lease.get("path", ()) if each not in sys.path]
            heal(dc, from_record(lease["fault"], dc))
        except Exception as error:
            dc.mark_dirty(f"{lease['name']} was not healed: {error}")
            raise
        keeping.let_go(file)
        return True


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep all others from healing what a lease says."""
    path = file.with_suffix(".healing")
    handle = _locked(path)
    try:
        yield
    finally:
        if not file.exists():  # nobody will need it any more; who waits for it looks once more
            path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path) -> int:
    """Return what holds the lock of a file that is there: one that was removed meanwhile keeps nobody away."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def _unheld(file: Path) -> Iterator[bool]:
    """Hold a lease for the body, and tell it whether nobody else does."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _taken(handle)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: Path, content: Mapping[str, Any]) -> int:
    """Write a lease, and return what holds its lock."""
    file.parent.mkdir(exist_ok=True)
    part = file.with_suffix(".part")
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, json.dumps(content).encode())
    part.rename(file)
    return handle


def _keep(dc: DataCenter, file: Path, seconds: float) -> None:
    """Start the keeper; without one there is no lease, and nothing was broken yet."""
    try:
        keeping.keep(file, seconds, [sys.executable, "-m", "vdc.faults.lease", str(file)], netns=_namespace(dc))
    except BaseException:
        keeping.let_go(file)
        raise


def _namespace(dc: DataCenter) -> str:
    return f"vdc-{dc.name}"


if __name__ == "__main__":
    main(sys.argv[1:])
