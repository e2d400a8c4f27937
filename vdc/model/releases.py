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


@cache
def catalogue() -> Mapping[str, Release]:
    """Return every release by name, in the order of their names; one of VDC_RELEASES replaces one of the checkout's.

    Release files do not change while a process runs. Raises InputError with every mistake of theirs.
    """
    own = Settings.from_environment().releases
    if own is not None and not own.is_dir():
        raise InputError(f"VDC_RELEASES={own} is not a folder")
    found = {**_of_checkout(), **(read_releases(own) if own is not None else {})}
    return MappingProxyType({name: found[name] for name in sorted(found)})


def names() -> tuple[str, ...]:
    """Return everything that a topology may have as its release."""
    return (*catalogue(), STOCK)


def release(name: str) -> Release:
    """Return a release. Raises InputError: there is no such one."""
    if name not in catalogue():
        raise InputError(f'unknown release "{name}"{suggest(name, tuple(catalogue()))}')
    return catalogue()[name]


def _of_checkout() -> Mapping[str, Release]:
    places = (Path(vdc.__file__).parent.parent / FOLDER, FOLDER)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise InputError(
            "no release files here", hint="run it in a checkout of vdc, or set VDC_RELEASES to a folder of them"
        )
    return read_releases(folder)
