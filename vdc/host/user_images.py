"""Disk images that a topology file brings: fetched once, checked, unpacked, and kept in the cache by their content.

A download that breaks off goes on where it stopped when it is asked for again. An image is unpacked beside its place
and renamed into it, so it is there whole or not at all. One process fetches an image while others that want it wait.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from vdc.errors import CommandError, InputError
from vdc.host.download import digest_of, fetch
from vdc.host.locks import exclusive
from vdc.host.volumes import described
from vdc.model.hardware import UserImage
from vdc.model.topology import Topology
from vdc.plan.context import PlanContext
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps

MANIFEST: Final = "manifest.json"
KEPT: Final = 8
"""How many images that nothing is made of at the moment stay in the cache."""

_COPY_SECONDS: Final = 1800.0
_BLOCK: Final = 1 << 18

_OPEN: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
)
_MAGIC: Final[Mapping[str, bytes]] = MappingProxyType({"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\0"})


def wanted(topology: Topology) -> frozenset[str]:
    """Return the names of the images that servers or their volumes are made from."""
    servers = {server.image for server in topology.servers if server.image}
    volumes = {volume.source for each in topology.servers for volume in each.hardware.volumes if volume.kind == "image"}
    return frozenset(servers | {source for source in volumes if source})


def ensure(topology: Topology, context: PlanContext, settings: Settings, steps: Steps) -> Topology:
    """Return the topology with the digest of each image that it uses; the cache has them then.

    Raises:
        InputError: a file is not there, is not what its `sha256` says, or is no disk image.
        HostError: a download failed, or is not what its `sha256` says.
    """
    used = wanted(topology)
    images = (_ensure(image, context, settings, steps) if image.name in used else image for image in topology.images)
    return replace(topology, images=tuple(images))


def clean(settings: Settings, used: Collection[Path]) -> None:
    """Remove all images but those used last, and those below one of the disks that are `used`."""
    folder = settings.cache_dir / "images"
    by_use = sorted(folder.glob(f"user-*/{MANIFEST}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for manifest in by_use[KEPT:]:
        directory = manifest.parent
        if not any(disk.is_relative_to(directory) for disk in used):
            with suppress(BlockingIOError), exclusive(directory.with_name(f".{directory.name}.lock"), wait=False):
                manifest.unlink()
                shutil.rmtree(directory)


def _ensure(image: UserImage, context: PlanContext, settings: Settings, steps: Steps) -> UserImage:
    known = replace(image, sha256=_file_digest(image)) if image.file else image
    directory = context.user_image(known).parent
    directory.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(directory.with_name(f".{directory.name}.lock")):
        if (directory / MANIFEST).exists():
            (directory / MANIFEST).touch()
            return known
        with steps.step(f"get image {image.name}"):
            part = directory.with_name(f".{directory.name}.part")
            _unpack(known, Path(image.file) if image.file else _downloaded(known, part), directory)
            part.unlink(missing_ok=True)
    return known


def _file_digest(image: UserImage) -> str:
    path = Path(str(image.file))
    try:
        found = digest_of(path, "sha256").removeprefix("sha256:")
    except OSError as error:
        raise InputError(f"image {image.name}: {path} cannot be read: {error.strerror}") from error
    if image.sha256 is not None and found != image.sha256:
        raise InputError(f"image {image.name}: {path} is not what its sha256 says; it is {found}")
    return found


def _downloaded(image: UserImage, part: Path) -> Path:
    """Return the file that a URL leads to, checked; what there is of it already is not fetched again."""
    fetch(str(image.url), part, digest=f"sha256:{image.sha256}", what=f"image {image.name}")
    return part


def _unpack(image: UserImage, source: Path, directory: Path) -> None:
    work = directory.with_name(f".{directory.name}.build")
    shutil.rmtree(work, ignore_errors=True)  # left by one that was killed: the lock is ours
    work.mkdir()
    try:
        info = _unpacked(image, source, work / "disk.img")
    except (OSError, EOFError, lzma.LZMAError, zlib.error, CommandError) as error:
        shutil.rmtree(work)
        raise InputError(f"image {image.name}: {source} cannot be unpacked: {error}") from error
    except BaseException:
        shutil.rmtree(work)
        raise
    manifest = {"name": image.name, "sha256": image.sha256, "format": info["format"], "size": info["virtual-size"]}
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    work.rename(directory)


def _unpacked(image: UserImage, source: Path, disk: Path) -> Mapping[str, Any]:
    """Write the disk that is in a file, and return what qemu-img says of it. Raises InputError: it is no disk."""
    if image.compression:
        with _OPEN[image.compression](source) as packed:
            _write_sparse(iter(lambda: packed.read(_BLOCK), b""), disk)
    else:
        _expect_unpacked(image, source)
        run(["cp", "--sparse=always", "--reflink=auto", str(source), str(disk)], timeout=_COPY_SECONDS)
    info = described(disk)
    if info["format"] not in {"raw", "qcow2"} or {"backing-filename", "data-file"} & {*info, *_specific(info)}:
        raise InputError(
            f"image {image.name}: neither a raw disk nor a qcow2 that is whole in itself",
            hint="`qemu-img convert -O qcow2` makes one",
        )
    return info


def _specific(info: Mapping[str, Any]) -> Mapping[str, object]:
    """Return what qemu-img says of an image that only its format has."""
    return cast(Mapping[str, object], info.get("format-specific", {}).get("data", {}))


def _expect_unpacked(image: UserImage, source: Path) -> None:
    """Raise InputError if a file that is said to be a disk is one in a wrapper."""
    with source.open("rb") as file:
        head = file.read(max(map(len, _MAGIC.values())))
    for compression, magic in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(
                f"image {image.name}: {source} is compressed", hint=f"say `compression: {compression}` in its entry"
            )


def _write_sparse(blocks: Iterable[bytes], target: Path) -> None:
    with target.open("wb") as file:
        for block in blocks:
            if block.count(0) == len(block):
                file.seek(len(block), 1)
            else:
                file.write(block)
        file.truncate(file.tell())
