"""Checkpoints: a whole data centre frozen at one instant, kept in the cache.

A checkpoint is a directory. It is written beside its place and renamed into it, so it is there whole or not at all,
and its manifest names every file with its digest, so that a damaged one is refused. Memory is libvirt's own save
image, taken while all guests stand still. Disks are copied; what is brought to life from a checkpoint has overlays
on them, so that any number of data centres share what they only read. `vdc.datacenter.fork` brings it to life.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from vdc.datacenter.live import PLAN, LiveDataCenter, held
from vdc.errors import DirtyError, HostError, InputError
from vdc.plan.plan import Plan
from vdc.settings import Settings
from vdc.shell import run

KEPT: Final = ("secrets", "etcd")
"""Folders of a run directory that belong to the data centre's state: keys and certificates its guests know."""

_MANIFEST: Final = "manifest.json"
_COPY_SECONDS: Final = 600.0
_WORKERS: Final = 2
_TAG: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint in the store: of which data centre, when it was taken (UTC, ISO 8601), and its size in bytes."""

    name: str
    tag: str
    taken: str
    size: int
    directory: Path

    def memory(self, server: str) -> Path:
        """Return the save image of a server."""
        return self.directory / "memory" / f"{server}.save"

    def disk(self, file: str) -> Path:
        """Return a disk, by its file name in the run directory."""
        return self.directory / "disks" / file

    @property
    def plan(self) -> Plan:
        """The plan of the data centre it was taken of."""
        return Plan.from_json((self.directory / PLAN).read_text(encoding="utf-8"))


def store(settings: Settings) -> Path:
    """Return where checkpoints are kept."""
    return settings.cache_dir / "checkpoints"


def checkpoints(settings: Settings) -> tuple[Checkpoint, ...]:
    """Return every whole checkpoint, by name and tag; what an interrupted save left is not one."""
    manifests = sorted(store(settings).glob(f"*/*/{_MANIFEST}"))
    return tuple(_read(path.parent) for path in manifests if not path.parent.name.startswith("."))


def find(name: str, tag: str, settings: Settings) -> Checkpoint:
    """Return a checkpoint. Raises InputError naming those there are."""
    for each in checkpoints(settings):
        if (each.name, each.tag) == (name, tag):
            return each
    there = ", ".join(f"{each.name} {each.tag}" for each in checkpoints(settings)) or "none"
    raise InputError(f"no checkpoint {tag!r} of {name!r}", hint=f"there are: {there}")


def save(dc: LiveDataCenter, tag: str) -> Checkpoint:
    """Freeze a data centre for as long as it takes to store it, store it, and let it go on.

    Raises:
        InputError: the tag is not one, or is taken.
        BuildError: a guest could not be saved; the data centre goes on.
    """
    target = store(dc.settings) / dc.name / tag
    if not tag or not set(tag) <= _TAG or tag.startswith("."):
        raise InputError(f"{tag!r} is not a tag", hint="use lower-case letters, digits, dashes, dots and underscores")
    if target.exists():
        raise InputError(f"{dc.name} has a checkpoint {tag!r}", hint=f"vdc checkpoint rm {dc.name} {tag}")
    part = target.with_name(f".{tag}.part")
    with held(dc.run_directory):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            _freeze(dc, part)
            _write_manifest(dc.name, tag, part)
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return find(dc.name, tag, dc.settings)


def remove(name: str, tag: str, settings: Settings) -> None:
    """Remove a checkpoint. Raises InputError: there is none. Data centres that live on its disks must be down."""
    found = find(name, tag, settings)
    gone = found.directory.with_name(f".{tag}.gone")
    found.directory.rename(gone)
    shutil.rmtree(gone)
    with suppress(OSError):  # others of the same data centre
        gone.parent.rmdir()


def clean(settings: Settings) -> None:
    """Remove what killed saves and removals left, except of data centres that are just being saved."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    for leftover in (*store(settings).glob("*/.*.part"), *store(settings).glob("*/.*.gone")):
        with suppress(DirtyError), held(settings.state_dir / leftover.parent.name):
            shutil.rmtree(leftover)
    for folder in store(settings).glob("*"):
        with suppress(OSError):
            folder.rmdir()


def verify(checkpoint: Checkpoint) -> None:
    """Read every file of a checkpoint. Raises HostError naming the first that is not what was saved."""
    digests: dict[str, str] = _manifest(checkpoint.directory)["digests"]
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(pool.map(lambda name: _digest(checkpoint.directory / name), digests))
    for name, digest in zip(digests, found, strict=True):
        if digest != digests[name]:
            raise HostError(
                f"checkpoint {checkpoint.tag!r} of {checkpoint.name!r} is damaged: {name}",
                hint=f"vdc checkpoint rm {checkpoint.name} {checkpoint.tag}",
            )


def _freeze(dc: LiveDataCenter, part: Path) -> None:
    """Stop all guests at one instant, store everything, and let them go on from what was stored."""
    running = [server for server in dc.servers.values() if server.libvirt.state(server.name) == "running"]
    if len(running) != len(dc.servers):
        off = ", ".join(sorted(set(dc.servers) - {server.name for server in running}))
        raise InputError(f"not every server runs: {off}", hint="a checkpoint is of a whole data centre")
    (part / "memory").mkdir()
    saved = []
    try:
        for server in running:
            server.libvirt.suspend(server.name)
        for server in running:
            server.libvirt.save(server.name, part / "memory" / f"{server.name}.save")
            saved.append(server)
        _copy_disks(dc, part / "disks")
        _copy_files(dc, part)
    finally:
        for server in saved:
            server.libvirt.restore(part / "memory" / f"{server.name}.save")
        for server in running:
            if server.libvirt.state(server.name) == "paused":
                server.libvirt.resume(server.name)


def _copy_files(dc: LiveDataCenter, part: Path) -> None:
    for folder in KEPT:
        if (dc.run_directory / folder).exists():
            shutil.copytree(dc.run_directory / folder, part / folder)
    (part / PLAN).write_text(dc.plan.to_json(), encoding="utf-8")


def _copy_disks(dc: LiveDataCenter, target: Path) -> None:
    target.mkdir()
    disks = sorted((dc.run_directory / "disks").iterdir())
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda disk: _copy_disk(dc, disk, target / disk.name), disks))


def _copy_disk(dc: LiveDataCenter, source: Path, target: Path) -> None:
    """Copy a disk so that it depends on nothing but its release image, also where it lives on a checkpoint itself."""
    base = dc.settings.cache_dir / "images"
    backing = _backing(source) if source.suffix == ".qcow2" else None
    if backing is None or backing.is_relative_to(base):
        run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], timeout=_COPY_SECONDS)
        return
    images = [file for file in _chain(source) if file.is_relative_to(base)]
    onto = ["-B", str(images[0]), "-F", "raw"] if images else []
    run(
        ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2", *onto, str(source), str(target)],
        timeout=_COPY_SECONDS,
    )


def _backing(disk: Path) -> Path | None:
    chain = _chain(disk)
    return chain[1] if len(chain) > 1 else None


def _chain(disk: Path) -> list[Path]:
    said = run(["qemu-img", "info", "--backing-chain", "--output=json", str(disk)], timeout=_COPY_SECONDS).stdout
    return [Path(each["filename"]) for each in json.loads(said)]


def _write_manifest(name: str, tag: str, part: Path) -> None:
    files = sorted(path for path in part.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_WORKERS) as pool:
        names = [str(path.relative_to(part)) for path in files]
        digests = dict(zip(names, pool.map(_digest, files), strict=True))
    manifest = {
        "name": name,
        "tag": tag,
        "taken": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "size": sum(path.stat().st_blocks * 512 for path in files),
        "digests": digests,
    }
    (part / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


def _manifest(directory: Path) -> dict[str, Any]:
    text: dict[str, Any] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    return text


def _read(directory: Path) -> Checkpoint:
    manifest = _manifest(directory)
    return Checkpoint(
        name=str(manifest["name"]),
        tag=str(manifest["tag"]),
        taken=str(manifest["taken"]),
        size=int(str(manifest["size"])),
        directory=directory,
    )


def _digest(path: Path) -> str:
    """Return the BLAKE2b of a file (RFC 7693), in hex: as strong as SHA-2, and faster where it has no instructions."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except FileNotFoundError:
        return "missing"
