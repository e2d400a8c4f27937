"""The releases there are: those of this checkout, and those of a folder of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import vdc
from vdc.errors import InputError
from vdc.model.release import Release
from vdc.model.release_files import read_releases
from vdc.model.words import suggest
from vdc.settings import Settings

STOCK: Final = "debian-12-stock"
"""An image of an ordinary node, for comparison only; it is no release."""

FOLDER: Final = Path("scenarios", "releases")

_HINT: Final = (
    "run it in a checkout of vdc, or set VDC_RELEASES to a folder of them: scenarios/releases of a checkout is one"
)


@cache
def catalogue() -> Mapping[str, Release]:
    """Return every release by name, in the order of their names; one of VDC_RELEASES replaces one of the checkout's.

    Outside a checkout there are those of VDC_RELEASES alone. Release files do not change while a process runs.

    Raises InputError: with every mistake of theirs; or there are none at all.
    """
    own = Settings.from_environment().releases
    if own is not None and not own.is_dir():
        raise InputError(
            f"VDC_RELEASES={own} is not a folder", hint="make it one of release files, or unset the variable"
        )
    folders = [folder for folder in (_of_checkout(), own) if folder is not None]
    if not folders:
        raise InputError("no release files here", hint=_HINT)
    found = {name: each for folder in folders for name, each in read_releases(folder).items()}
    return MappingProxyType({name: found[name] for name in sorted(found)})


def names() -> tuple[str, ...]:
    """Return everything that a topology may have as its release: what has an image."""
    return (*(name for name, each in catalogue().items() if each.has_image), STOCK)


def release(name: str) -> Release:
    """Return a release. Raises InputError: there is no such one."""
    if name not in catalogue():
        raise InputError(f'unknown release "{name}"{suggest(name, tuple(catalogue()))}')
    return catalogue()[name]


def _of_checkout() -> Path | None:
    places = (Path(vdc.__file__).parent.parent / FOLDER, FOLDER)
    return next((place for place in places if place.is_dir()), None)
