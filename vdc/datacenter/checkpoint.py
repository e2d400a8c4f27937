"""Checkpoints: a whole data centre frozen at one instant, kept in the cache.

A checkpoint is a directory. It is written beside its place and renamed into it, so it is there whole or not at all,
and its manifest names every file with its digest, so that a damaged one is refused. Memory is copied while all guests
stand still, and so are the disks; what is brought to life from a checkpoint maps the memory privately and has
overlays on the disks, so that any number of data centres share what they only read. `vdc.datacenter.fork` brings it
to life; `vdc.datacenter.checkpoint_stores` says where they are kept.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter, held
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.standing import standing_still
from vdc.datacenter.waking import tell
from vdc.errors import BuildError, CommandError, DamagedError, DirtyError, HostError, InputError
from vdc.host import accelerator, claims, disks, firmware, freezer, preflight, volumes
from vdc.host.claims import PLAN
from vdc.host.digests import content_digest
from vdc.host.freezer import Frozen
from vdc.host.locks import exclusive
from vdc.model.topology import Topology
from vdc.plan.plan import Plan

KEPT: Final = ("secrets", "etcd", "kubernetes", "script", "upgrade")
"""Folders of a run directory that belong to the state of a data centre: keys and certificates that its guests know, and
how far an upgrade of them is."""

T = TypeVar("T")
R = TypeVar("R")

FORMAT: Final = 1
"""Raise when guests that were frozen before cannot be woken any more."""

MANIFEST: Final = "manifest.json"
"""The file of a checkpoint that names all others; one without it is not whole."""

_WORKERS: Final = 2
_NO_SPACE: Final = os.strerror(errno.ENOSPC)
_PART, _GONE = ".part", ".gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint in the store.

    Of which data centre, under which tag, when it was taken (UTC, ISO 8601), its size on disk in bytes, and for how
    many seconds its guests stood still.
    """

    name: str
    tag: str
    taken: str
    size: int
    stood_still: float
    directory: Path

    def frozen(self, server: str) -> Frozen:
        """Return the memory and the devices of a server."""
        folder = self.directory / "memory"
        return Frozen(memory=folder / f"{server}.ram", devices=folder / f"{server}.devices")

    def xml(self, server: str) -> str:
        """Return the domain of a server, as it was next to be started."""
        return (self.directory / "domains" / f"{server}.xml").read_text(encoding="utf-8")

    def disk(self, file: str) -> Path:
        """Return a disk, by its file name in the run directory."""
        return self.directory / "disks" / file

    @property
    def memory(self) -> int:
        """Bytes of memory that its guests had in use."""
        return sum(path.stat().st_blocks * 512 for path in (self.directory / "memory").glob("*.ram"))

    @property
    def plan(self) -> Plan:
        """The plan of the data centre it was taken of."""
        return Plan.from_json((self.directory / PLAN).read_text(encoding="utf-8"))


def load(directory: Path) -> Checkpoint | None:
    """Return the checkpoint in a directory; None if there is none."""
    try:
        manifest = _manifest(directory)
        return Checkpoint(
            name=str(manifest["name"]),
            tag=directory.name,
            taken=str(manifest["taken"]),
            size=int(manifest["size"]),
            stood_still=float(manifest["stood_still"]),
            directory=directory,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(dc: LiveDataCenter, directory: Path) -> Checkpoint:
    """Freeze a data centre for as long as it takes to copy it into `directory`, and let it go on.

    Its guests have the right time again then, and know that their neighbours have given them up.

    Raises:
        CommandError, WaitTimeout: a guest that goes on does not listen. The checkpoint is whole.
        InputError: not every server runs, or one cannot be frozen.
        HostError: the disk has no room; nothing is left of the checkpoint.
        BuildError: a guest could not be frozen. The data centre goes on in any case.
        DirtyError: somebody else is writing it, or is building the data centre or taking it down; or the data centre is
            dirty, which what is woken from it would not know.
    """
    if (reason := dc.dirty()) is not None:
        raise DirtyError(f"{dc.name} is dirty: {reason}", hint=f"vdc down {dc.name}")
    expect_freezable(dc.topology)
    preflight.expect_room(dc.settings, dc.plan.memory + preflight.FLOOR)
    with held(dc.run_directory), _making(directory) as part:
        stood_still = _freeze(dc, part)
        _write_manifest(dc.plan, stood_still, part)
        part.rename(directory)
        tell(dc.servers.values())
    made = load(directory)
    assert made is not None
    return made


def settle(dc: LiveDataCenter) -> None:
    """Wait until a data centre that was frozen is as it was before that. Raises WaitTimeout."""
    wait_converged(dc)


def expect_freezable(topology: Topology) -> None:
    """Raise InputError naming every volume that keeps a data centre from being frozen."""
    if found := "; ".join(unfreezable(topology)):
        raise InputError(
            f"QEMU cannot freeze every guest: {found}", hint="give disks another `bus`, and mount no folder"
        )


def unfreezable(topology: Topology) -> tuple[str, ...]:
    """Return, in words, the volumes of which QEMU cannot write the state: NVMe disks, and folders of the host."""
    return tuple(
        f"{server.name} has {'the folder' if volume.kind == 'folder' else 'the NVMe disk'} {volume.name}"
        for server in topology.servers
        for volume in server.hardware.volumes
        if volume.kind == "folder" or volume.bus == "nvme"
    )


def discard(directory: Path) -> None:
    """Remove a checkpoint, whole or damaged, so that half of it is never taken for one.

    Raises DirtyError: data centres live on it, and would find other disks when they start again.
    """
    with exclusive(directory.parent):
        _discard(directory)


def prune(folder: Path, keep: int) -> None:
    """Discard all but the `keep` checkpoints of a store that were used last, except those that are in use."""
    with exclusive(folder):  # several processes come to prune at once
        by_use = sorted(folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for directory in by_use[keep:]:
            with suppress(DirtyError):
                _discard(directory)


def sweep(folder: Path) -> None:
    """Remove what killed saves and removals left in a folder of checkpoints, and the folder if it is empty then."""
    with exclusive(folder):
        for gone in folder.glob(f".*{_GONE}"):
            shutil.rmtree(gone)
    for part in folder.glob(f".*{_PART}"):
        with suppress(DirtyError), _locked(part):
            shutil.rmtree(part)
    with suppress(OSError):
        folder.rmdir()


def in_use(directory: Path) -> tuple[str, ...]:
    """Return the names of the data centres of this host with a disk that lives on a checkpoint."""
    return tuple(
        sorted(
            name
            for name, run_directory in claims.everyone().items()
            if any(backing.is_relative_to(directory) for backing in backings_of(run_directory))
        )
    )


def verify(checkpoint: Checkpoint) -> None:
    """Read every file of a checkpoint that is about to be used, and note the use.

    Raises DamagedError naming the first file that is not what was saved.
    """
    try:
        manifest = _manifest(checkpoint.directory)
        digests: dict[str, str] = manifest["digests"]
        images: dict[str, str] = manifest["images"]
        made_by: dict[str, str] = manifest["made_by"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is damaged: {MANIFEST}") from error
    for name, digest in _in_parallel(lambda name: content_digest(checkpoint.directory / name), sorted(digests)):
        if digest != digests[name]:
            raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is damaged: {name}")
    if _images(checkpoint.directory) != images:
        raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is on an image that was built anew since")
    for what, here in _made_by(checkpoint.plan, checkpoint.directory).items():
        if made_by.get(what) != here:
            raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} was made with another {what}")
    checkpoint.directory.touch()


def backings_of(directory: Path) -> Iterator[Path]:
    """Yield the disks that those of a run directory or a checkpoint are overlays on; disks may come and go."""
    for disk in (
        *directory.glob("disks/*.qcow2"),
        *(path for path in volumes.outside(directory) if path.suffix == ".qcow2"),
    ):
        with suppress(FileNotFoundError):
            if (backing := disks.backing(disk)) is not None:
                yield backing


def _discard(directory: Path) -> None:
    if living := in_use(directory):
        raise DirtyError(f"{', '.join(living)} lives on {directory}", hint=f"vdc down {living[0]}")
    gone = directory.with_name(f".{directory.name}{_GONE}")
    with _locked(directory):  # else it is being woken
        if gone.exists():
            shutil.rmtree(gone)
        directory.rename(gone)
    shutil.rmtree(gone)


@contextmanager
def _making(directory: Path) -> Iterator[Path]:
    """Offer a folder beside `directory` to fill, which is nobody else's; it is removed if that fails."""
    part = directory.with_name(f".{directory.name}{_PART}")
    part.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys are in memory, too
    with _locked(part):
        for left in part.iterdir():  # by one that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield part
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, (OSError, CommandError, BuildError)) and _NO_SPACE in str(error):
                raise HostError(f"disk full: {directory} could not be written", hint="free some, or vdc gc") from error
            raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with exclusive(folder, wait=False):
            yield
    except BlockingIOError as error:
        raise DirtyError(f"another process is busy with {folder}", hint="wait until it is done") from error


def _freeze(dc: LiveDataCenter, part: Path) -> float:
    """Stop all guests at one instant, copy everything, and let them go on; return the seconds they stood still."""
    servers = tuple(dc.servers.values())
    states = {server.name: server.libvirt.state(server.name) for server in servers}
    if off := ", ".join(name for name, state in states.items() if state != "running"):
        raise InputError(f"not every server runs: {off}", hint=f"`vdc power {dc.name} SERVER on` lets one go on")
    for folder in ("memory", "domains", "disks"):
        (part / folder).mkdir()
    with standing_still(dc, servers) as since:
        _in_parallel(lambda server: _freeze_server(dc, server, part), servers)
        everything = (*(dc.run_directory / "disks").glob("*"), *volumes.outside(dc.run_directory))
        _in_parallel(lambda disk: _copy_disk(dc, disk, part), sorted(everything))
        _copy_files(dc, part)
    return time.monotonic() - since


def _freeze_server(dc: LiveDataCenter, server: LiveMachine, part: Path) -> None:
    memory = part / "memory" / server.name
    pid = int(dc.plan.context.process_file(server.name).read_text())
    frozen = Frozen(memory=memory.with_suffix(".ram"), devices=memory.with_suffix(".devices"))
    freezer.freeze(server.libvirt, server.name, pid, frozen)
    (part / "domains" / f"{server.name}.xml").write_text(server.libvirt.xml(server.name), encoding="utf-8")


def _copy_files(dc: LiveDataCenter, part: Path) -> None:
    for folder in KEPT:
        if (dc.run_directory / folder).exists():
            shutil.copytree(dc.run_directory / folder, part / folder)
    (part / PLAN).write_text(dc.plan.to_json(), encoding="utf-8")


def _copy_disk(dc: LiveDataCenter, disk: Path, part: Path) -> None:
    disks.copy(disk, part / "disks" / disk.name, base=dc.settings.cache_dir / "images")


def _write_manifest(plan: Plan, stood_still: float, part: Path) -> None:
    files = sorted(path for path in part.rglob("*") if path.is_file())
    digests = _in_parallel(lambda name: content_digest(part / name), [str(path.relative_to(part)) for path in files])
    manifest = {
        "name": plan.instance,
        "taken": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "size": sum(path.stat().st_blocks * 512 for path in files),
        "stood_still": round(stood_still, 2),
        "images": _images(part),
        "made_by": _made_by(plan, part),
        "digests": dict(digests),
    }
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


def _made_by(plan: Plan, directory: Path) -> dict[str, str]:
    """Return what a frozen guest can only be woken by."""
    return {
        "format": str(FORMAT),
        **accelerator.hardware(plan.context.accelerator),
        **firmware.build(plan),
        **firmware.identities(plan, (directory / "domains").glob("*.xml")),
    }


def _images(directory: Path) -> dict[str, str]:
    """Return the digest of what each image that a checkpoint's disks are on was built from."""
    found = {backing.parent for backing in backings_of(directory)}
    return {image.name: content_digest(image / "manifest.json") for image in sorted(found)}


def _manifest(directory: Path) -> dict[str, Any]:
    text: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return text


def _in_parallel(action: Callable[[T], R], items: Iterable[T]) -> list[tuple[T, R]]:
    """Do something with each item, a few at a time; return items and results. Raises what the first to fail raised."""
    every = tuple(items)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(zip(every, pool.map(action, every), strict=True))
