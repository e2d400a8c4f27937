from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vdc.errors import InputError
from vdc.imports.documents import Source
from vdc.imports.draft import Imported, Options
from vdc.imports.menu import import_menu
from vdc.imports.menu_format import Read
from vdc.imports.placemat import import_placemat

GOLDEN = Path(__file__).parents[1] / "golden" / "imports"


def source(path: Path) -> Source:
    return Source(path.name, path.read_text(encoding="utf-8"))


def placemat(*files: Path, releases: Mapping[str, str] | None = None) -> Imported:
    options = Options(releases=releases or {}, target=str(files[0].with_name("target.yml")))
    return import_placemat(map(source, files), options)


def beside(folder: Path) -> Read:
    """Reads files of a folder, whatever their contents."""

    def read(name: str) -> Source:
        try:
            return source(folder / name)
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower()) from error

    return read


def menu(file: Path, releases: Mapping[str, str] | None = None) -> Imported:
    options = Options(releases=releases or {}, target=str(file.with_name("target.yml")))
    return import_menu(source(file), beside(file.parent), options)


def shown(imported: Imported) -> str:
    """What the command prints: the topology, then on standard error what it lacks."""
    return imported.text + "\n--- standard error\n" + "".join(f"{notice}\n" for notice in imported.notices)
