"""Checkpoints: a whole data centre frozen at one instant, kept in the cache.

A checkpoint is a directory. It is written beside its place and renamed into it, so it is there whole or not at all,
and its manifest names every file with its digest, so that a damaged one is refused. Memory is copied while all guests
stand still, and so are the disks; what is brought to life from a checkpoint maps the memory privately and has
overlays on the disks, so that any number of data centres share what they only read. `vdc.datacenter.fork` brings it
to life.
"""

from __future__ import annotations

import errno
import hashlib
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

from vdc.datacenter.live import LiveDataCenter, held
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.standing import standing_still
from vdc.errors import BuildError, CommandError, DamagedError, DirtyError, HostError, InputError
from vdc.host import accelerator, claims, disks, firmware, freezer, preflight, user_images, volumes
from vdc.host.claims import PLAN
from vdc.host.freezer import Frozen
from vdc.host.locks import exclusive
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.settings import Settings

KEPT: Final = ("secrets", "etcd", "kubernetes", "script")
"""Folders of a run directory that belong to the data centre's state: keys and certificates its guests know."""

T = TypeVar("T")
R = TypeVar("R")

FORMAT: Final = 1
"""Raise when guests that were frozen before cannot be woken any more."""

_MANIFEST: Final = "manifest.json"
_WORKERS: Final = 2
_TAG: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_BLOCK: Final = 1 << 20
_ZEROS: Final = bytes(_BLOCK)
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


def store(settings: Settings) -> Path:
    """Return where the user's checkpoints are kept, by name and tag."""
    return settings.cache_dir / "checkpoints"


def deployed_store(settings: Settings) -> Path:
    """Return where deployed states are kept, by digest."""
    return settings.cache_dir / "deployed"


def template_store(settings: Settings) -> Path:
    """Return where booted templates of servers are kept, by digest."""
    return settings.cache_dir / "templates"


def checkpoints(settings: Settings) -> tuple[Checkpoint, ...]:
    """Return the user's checkpoints that are whole, by name and tag."""
    found = (load(path.parent) for path in sorted(store(settings).glob(f"*/[!.]*/{_MANIFEST}")))
    return tuple(each for each in found if each is not None)


def find(name: str, tag: str, settings: Settings) -> Checkpoint:
    """Return a checkpoint of the user's. Raises InputError naming those there are."""
    found = load(store(settings) / name / tag) if _is_tag(tag) else None
    if found is None:
        raise _no_such(name, tag, settings)
    return found


def save(dc: LiveDataCenter, tag: str) -> Checkpoint:
    """Freeze a data centre into the user's store under `tag`.

    Raises InputError: it is not a tag, or is taken; else as `write`.
    """
    if not _is_tag(tag):
        raise InputError(f"{tag!r} is not a tag", hint="use lower-case letters, digits, dashes, dots and underscores")
    target = store(dc.settings) / dc.name / tag
    if target.exists():
        raise InputError(f"{dc.name} has a checkpoint {tag!r}", hint=f"vdc checkpoint rm {dc.name} {tag}")
    return write(dc, target)


def remove(name: str, tag: str, settings: Settings) -> None:
    """Remove a checkpoint of the user's, whole or damaged.

    Raises InputError: there is none; DirtyError: data centres live on it.
    """
    directory = store(settings) / name / tag
    if not _is_tag(tag) or not directory.is_dir():
        raise _no_such(name, tag, settings)
    discard(directory)
    with suppress(OSError):  # others of the same data centre
        directory.parent.rmdir()


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

    Raises:
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
    made = load(directory)
    assert made is not None
    return made


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


def in_use(directory: Path) -> tuple[str, ...]:
    """Return the names of the data centres of this host with a disk that lives on a checkpoint."""
    return tuple(
        sorted(
            name
            for name, run_directory in claims.everyone().items()
            if any(backing.is_relative_to(directory) for backing in _backings(run_directory))
        )
    )


def backings(settings: Settings) -> frozenset[Path]:
    """Return the disks that any data centre of this host or any checkpoint lives on."""
    stored = (path.parent for folder in _stores(settings) for path in folder.glob(f"[!.]*/{_MANIFEST}"))
    return frozenset(disk for each in (*claims.everyone().values(), *stored) for disk in _backings(each))


def _stores(settings: Settings) -> tuple[Path, ...]:
    return (*store(settings).glob("*"), deployed_store(settings), template_store(settings))


def clean(settings: Settings) -> None:
    """Remove what killed saves and removals left, and images that nobody needs; what is being written is let alone."""
    for folder in _stores(settings):
        if not folder.is_dir():
            continue
        with exclusive(folder):
            for gone in folder.glob(f".*{_GONE}"):
                shutil.rmtree(gone)
        for part in folder.glob(f".*{_PART}"):
            with suppress(DirtyError), _locked(part):
                shutil.rmtree(part)
        with suppress(OSError):
            folder.rmdir()
    user_images.clean(settings, backings(settings))


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
        raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is damaged: {_MANIFEST}") from error
    for name, digest in _in_parallel(lambda name: _digest(checkpoint.directory / name), sorted(digests)):
        if digest != digests[name]:
            raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is damaged: {name}")
    if _images(checkpoint.directory) != images:
        raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} is on an image that was built anew since")
    for what, here in _made_by(checkpoint.plan, checkpoint.directory).items():
        if made_by.get(what) != here:
            raise DamagedError(f"checkpoint {checkpoint.tag} of {checkpoint.name} was made with another {what}")
    checkpoint.directory.touch()


def _backings(directory: Path) -> Iterator[Path]:
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


def _no_such(name: str, tag: str, settings: Settings) -> InputError:
    there = ", ".join(f"{each.name} {each.tag}" for each in checkpoints(settings)) or "none"
    return InputError(f"no checkpoint {tag!r} of {name!r}", hint=f"there are: {there}")


def _is_tag(tag: str) -> bool:
    return bool(tag) and set(tag) <= _TAG and not tag.startswith(".")


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
    digests = _in_parallel(lambda name: _digest(part / name), [str(path.relative_to(part)) for path in files])
    manifest = {
        "name": plan.instance,
        "taken": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "size": sum(path.stat().st_blocks * 512 for path in files),
        "stood_still": round(stood_still, 2),
        "images": _images(part),
        "made_by": _made_by(plan, part),
        "digests": dict(digests),
    }
    (part / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


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
    found = {backing.parent for backing in _backings(directory)}
    return {image.name: _digest(image / "manifest.json") for image in sorted(found)}


def _manifest(directory: Path) -> dict[str, Any]:
    text: dict[str, Any] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    return text


def _digest(path: Path) -> str:
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


def _in_parallel(action: Callable[[T], R], items: Iterable[T]) -> list[tuple[T, R]]:
    """Do something with each item, a few at a time; return items and results. Raises what the first to fail raised."""
    every = tuple(items)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(zip(every, pool.map(action, every), strict=True))


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
