"""A topology in the making: its data, where each part of it comes from, and what could not be carried over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vdc.errors import InputError, Problem
from vdc.imports.documents import Document, Notice
from vdc.imports.writing import comment, write
from vdc.model.load import parse
from vdc.model.releases import names
from vdc.model.spec import TopologySpec
from vdc.model.words import suggest
from vdc.model.yamltree import Path, show

DEFAULT_RELEASE: Final[str] = TopologySpec.model_fields["release"].default


def _as_it_is(path: str) -> str:
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the person who imports decides.

    `name` is that of the topology; `releases` tells for names of images which release of ours runs instead; `relocate`
    turns a path of the imported files into one that holds from `target`, the file that the topology will be.
    """

    name: str | None = None
    releases: Mapping[str, str] = field(default_factory=dict)
    relocate: Callable[[str], str] = _as_it_is
    target: str = "topology.yml"

    @property
    def release(self) -> str | None:
        """The release that all servers have, if it is not the usual one."""
        return next((release for release in self.releases.values() if release != DEFAULT_RELEASE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A topology file, and what of the imported ones has no equivalent in it."""

    text: str
    notices: tuple[Notice, ...]


@dataclass(slots=True)
class Draft:
    """A topology in the making; `origins` tells for paths in it which place of which document they come from."""

    options: Options
    data: dict[str, object] = field(default_factory=dict)
    comments: dict[Path, str] = field(default_factory=dict)
    origins: dict[Path, tuple[Document, Path]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)

    def put(self, key: str, value: object, *, comment: str | None = None) -> None:
        """Add a section, unless there is nothing in it."""
        if value in ({}, [], ()):
            return
        self.data[key] = value
        if comment:
            self.comments[key,] = comment

    def comes_from(self, path: Path, document: Document, place: Path = ()) -> None:
        """Remember where the value at `path` of the topology comes from; the first that says so counts."""
        self.origins.setdefault(path, (document, place))

    def lost(self, document: Document, path: Path, why: str) -> None:
        """Take down that a field has no equivalent."""
        self.notices.append(document.notice(path, f"has no equivalent{why}"))

    def differs(self, document: Document, path: Path, how: str) -> None:
        """Take down that a field means something else here."""
        self.notices.append(document.notice(path, how))

    def finish(self, title: str) -> Imported:
        """Return the topology as text. Raises InputError: it would not be valid; told by the imported files' places."""
        notices = tuple(sorted(self.notices))
        lines = list(comment(title))
        if notices:
            lines += ["#", *comment("Not carried over, or different:")]
            lines += [line for each in notices for line in _as_item(f"{each.path}: {each.message}")]
        text = "\n".join(lines) + "\n\n" + write(self.data, self.comments)
        try:
            parse(text, file=self.options.target)
        except InputError as error:
            problems = [self._traced(each) for each in error.problems]
            raise InputError("the topology would not be valid", problems=problems) from error
        return Imported(text=text, notices=notices)

    def _traced(self, problem: Problem) -> Problem:
        """Return a problem of the topology as one of the place that it comes from."""
        found = max((path for path in self.origins if _is_within(problem.path, show(path))), key=len, default=None)
        if found is None:
            return problem
        document, place = self.origins[found]
        return document.problem(place, f"{problem.path}: {problem.message}")


def _as_item(text: str) -> Sequence[str]:
    first, *others = comment(text, indent="    ")
    return [f"#   {first.lstrip(' #')}", *(f"#     {line.lstrip(' #')}" for line in others)]


def _is_within(path: str, outer: str) -> bool:
    return path == outer or (path.startswith(outer) and path[len(outer)] in ".[")


def check_releases(options: Options, images: Sequence[str]) -> None:
    """Raise InputError unless every image that a release replaces is there, and every release is one of ours."""
    for image, release in options.releases.items():
        if image not in images:
            raise InputError(f'--image: there is no Image "{image}"{suggest(image, images)}')
        if release not in names():
            raise InputError(f'--image: unknown release "{release}"{suggest(release, names())}')
    if len(set(options.releases.values())) > 1:
        raise InputError("--image: all servers have one release", hint="name the same one for every image")
