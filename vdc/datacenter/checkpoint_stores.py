"""Where checkpoints are kept in the cache: the user's by name and tag, deployed states and templates by digest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from vdc.datacenter.checkpoint import MANIFEST, Checkpoint, backings_of, discard, load, sweep, write
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import InputError
from vdc.host import claims, user_images
from vdc.settings import Settings

_TAG: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


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
    found = (load(path.parent) for path in sorted(store(settings).glob(f"*/[!.]*/{MANIFEST}")))
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


def backings(settings: Settings) -> frozenset[Path]:
    """Return the disks that any data centre of this host or any checkpoint lives on."""
    stored = (path.parent for folder in _stores(settings) for path in folder.glob(f"[!.]*/{MANIFEST}"))
    return frozenset(disk for each in (*claims.everyone().values(), *stored) for disk in backings_of(each))


def _stores(settings: Settings) -> tuple[Path, ...]:
    return (*store(settings).glob("*"), deployed_store(settings), template_store(settings))


def clean(settings: Settings) -> None:
    """Remove what killed saves and removals left, and images that nobody needs; what is being written is let alone."""
    for folder in _stores(settings):
        if folder.is_dir():
            sweep(folder)
    user_images.clean(settings, backings(settings))


def _no_such(name: str, tag: str, settings: Settings) -> InputError:
    there = ", ".join(f"{each.name} {each.tag}" for each in checkpoints(settings)) or "none"
    return InputError(f"no checkpoint {tag!r} of {name!r}", hint=f"there are: {there}")


def _is_tag(tag: str) -> bool:
    return bool(tag) and set(tag) <= _TAG and not tag.startswith(".")
