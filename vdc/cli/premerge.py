"""What a change can affect: which scenarios are run before it is merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import ConfigDict, Field, ValidationError

from vdc.errors import CommandError, HostError, InputError, Problem
from vdc.git import git
from vdc.model.mistakes import problem, sole
from vdc.model.reuse import read_file
from vdc.model.section import Section
from vdc.model.words import suggest
from vdc.model.yamltree import Tree

PREMERGE: Final = "premerge"
"""The suite that is none of the folders: it is chosen from them."""

FILE: Final = "premerge.yml"

_MAIN: Final = ("origin/main", "main")

Scenarios = Annotated[tuple[str, ...], Field(strict=False)]


class _Part(Section):
    model_config = ConfigDict(use_attribute_docstrings=True)


class RowSpec(_Part):
    """Files, and the scenarios that a change of them can affect."""

    files: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """Their places in the repository; `*` stands for any text, slashes too."""
    run: Scenarios
    """Suites, files of scenarios, or single ones as `reboot/test_reboot.py::test_…`; none: nothing is affected."""


class PremergeSpec(_Part):
    """The whole file."""

    core: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """What is run before every merge."""
    affects: Annotated[tuple[RowSpec, ...], Field(default=(), strict=False)]
    """What is run besides. A file that no row names can affect everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is run: suites, files or single scenarios below the folder of scenarios, and why, in lines for people."""

    scenarios: tuple[str, ...]
    why: tuple[str, ...]


def before_merge(folder: Path, since: str | None) -> Chosen:
    """Choose from a folder of scenarios what the change since a commit can affect. Raises InputError."""
    spec = read_premerge(folder)
    changed = changed_files(folder, since)
    return choose(spec, changed, scenarios=folder_in_checkout(folder), there=scenarios_in(folder))


def read_premerge(folder: Path) -> PremergeSpec:
    """Read what a folder of scenarios says of merges. Raises InputError with every mistake and its place."""
    tree = read_file(folder / FILE)
    try:
        spec = PremergeSpec.model_validate(tree.data)
    except ValidationError as error:
        problems = [problem(tree, each, PremergeSpec) for each in sole(error.errors(include_url=False))]
        raise InputError(f"{folder / FILE} has mistakes: {len(problems)}", problems=problems) from error
    if missing := [*tree.problems, *_missing(spec, folder, tree)]:
        raise InputError(f"{folder / FILE} has mistakes: {len(missing)}", problems=missing)
    return spec


def choose(spec: PremergeSpec, changed: Sequence[str], *, scenarios: str, there: Sequence[str]) -> Chosen:
    """Choose what a change of files can affect.

    `scenarios` is the place of the folder of scenarios in the repository, `there` is all that it has. A file of
    scenarios that was changed is run itself.
    """
    wanted = dict.fromkeys(spec.core, "always")
    for file in changed:
        rows = [row for row in spec.affects if any(fnmatchcase(file, pattern) for pattern in row.files)]
        own = file.removeprefix(f"{scenarios}/")
        if not rows and own not in there:
            why = f"all: no row of {FILE} says what {file} can affect"
            return Chosen(scenarios=tuple(each for each in there if "/" not in each), why=(why,))
        for each in (*(each for row in rows for each in row.run), *([own] if own in there else ())):
            wanted.setdefault(each, f"{file} was changed")
    kept = _without_parts(wanted)
    return Chosen(scenarios=kept, why=tuple(f"{each}: {wanted[each]}" for each in kept))


def scenarios_in(folder: Path) -> tuple[str, ...]:
    """Return all that a folder of scenarios has: suites, files, and scenarios."""
    files = sorted(folder.glob("*/test_*.py"))
    names = [str(PurePosixPath(path.relative_to(folder))) for path in files]
    tests = [
        f"{name}::{line.removeprefix('def ').partition('(')[0]}"
        for name, path in zip(names, files, strict=True)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("def test_")
    ]
    return (*dict.fromkeys(path.parent.name for path in files), *names, *tests)


def changed_files(place: Path, since: str | None) -> tuple[str, ...]:
    """Return the files of a checkout that differ from where it left a commit, by default main.

    On main itself that is what the last commit changed. What is not committed yet counts.

    Raises InputError: it is no checkout with a history, or has no such commit.
    """
    base = _left(place, since) if since else _left_main(place)
    if base is None:
        raise InputError(
            f"no commit {since!r} here" if since else f"nobody knows where {place.absolute()} left main",
            hint="name what the change goes into: --since REF; a checkout needs its history",
        )
    differ = _asked(place, "diff", "--name-only", "--no-renames", base)
    added = _asked(place, "ls-files", "--others", "--exclude-standard", "--full-name", ":/")
    if differ is None or added is None:
        raise InputError(f"git does not say what differs from {base}", hint="name the suites: --suite standard")
    return tuple(sorted({*differ.splitlines(), *added.splitlines()}))


def folder_in_checkout(folder: Path) -> str:
    """Return where a folder is in its git checkout: "scenarios". Raises InputError: it is in none."""
    found = _asked(folder, "rev-parse", "--show-prefix")
    if found is None:
        raise InputError(f"{folder.absolute()} is in no git checkout", hint="name the suites: --suite standard")
    return found.rstrip("/")


def _left_main(place: Path) -> str | None:
    base = next((left for name in _MAIN if (left := _left(place, name))), None)
    on_main = base is not None and base == _asked(place, "rev-parse", "HEAD")
    return _asked(place, "rev-parse", "--verify", "--quiet", "HEAD^") if on_main else base


def _left(place: Path, name: str) -> str | None:
    return _asked(place, "merge-base", "HEAD", name)


def _asked(place: Path, *words: str) -> str | None:
    """Return what git answers, or None: it knows nothing of that."""
    try:
        return git(place, *words)
    except (CommandError, HostError):
        return None


def _without_parts(wanted: Iterable[str]) -> tuple[str, ...]:
    """Leave out what is run with its file or its suite anyway."""
    names = tuple(wanted)
    return tuple(name for name in names if not {*_wholes(name)} & {*names})


def _wholes(name: str) -> Iterable[str]:
    file, colons, _ = name.partition("::")
    if colons:
        yield file
    yield from (str(each) for each in PurePosixPath(file).parents if str(each) != ".")


def _missing(spec: PremergeSpec, folder: Path, tree: Tree) -> list[Problem]:
    there = scenarios_in(folder)
    named: list[tuple[tuple[str | int, ...], str]] = [(("core", number), each) for number, each in enumerate(spec.core)]
    named += [
        (("affects", row, "run", number), each)
        for row, said in enumerate(spec.affects)
        for number, each in enumerate(said.run)
    ]
    return [
        tree.problem(place, f"no scenario {each!r}{suggest(each, there)}") for place, each in named if each not in there
    ]
