"""YAML streams of several documents, each with the place of all that is in it.

Scalars stay as they are written: what `00000001` means depends on the field that it stands in, not on YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vdc.errors import InputError, Problem
from vdc.model.yamltree import Path, show

_NULL: Final = "tag:yaml.org,2002:null"
_MERGE: Final = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import: how it is called, and what is in it."""

    file: str
    text: str


class Notice(Problem):
    """What cannot be carried over, and where it stands: not a mistake."""


@dataclass(slots=True)
class Document:
    """One document: its `data`, in which keys without a value are left out, and where each value stands.

    `label` is what messages call it, if not its kind and name.
    """

    file: str
    start: tuple[int, int]
    label: str | None = None
    data: object = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def text(self, key: str) -> str | None:
        """Return the text at a key of the document, if there is one."""
        found = self.data.get(key) if isinstance(self.data, Mapping) else None
        return found if isinstance(found, str) and found else None

    @property
    def title(self) -> str:
        """`Node host1`: what messages call it."""
        if self.label:
            return self.label
        words = (self.text("kind"), self.text("name") or self.text("type"))
        return " ".join(word for word in words if word) or "document"

    def place(self, path: Path) -> tuple[int, int]:
        """Return where the value at `path` stands, or what is next around it."""
        inner = (self.places[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in self.places)
        return next(inner, self.start)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a mistake at `path`."""
        line, column = self.place(path)
        return Problem(file=self.file, line=line, column=column, path=self._shown(path), message=message)

    def notice(self, path: Path, message: str) -> Notice:
        """Return that what stands at `path` is not carried over."""
        line, column = self.place(path)
        return Notice(file=self.file, line=line, column=column, path=self._shown(path), message=message)

    def _shown(self, path: Path) -> str:
        return f"{self.title}: {show(path)}" if path else self.title

    def read(self, node: Node, path: Path = ()) -> object:
        """Take in a node and what is below it; return its plain data, with scalars as they are written."""
        if path not in self.places and path:
            self.places[path] = _place(node)
        match node:
            case MappingNode():
                return self._mapping(node, path)
            case SequenceNode():
                return [self.read(child, (*path, number)) for number, child in enumerate(node.value)]
            case ScalarNode(tag=tag, value=value):
                return None if str(tag) == _NULL else str(value)
        return None

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if str(key_node.tag) == _MERGE:
                continue
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            if key in first:
                self._twice(key_node, (*path, key), first[key])
                continue
            first[key] = _place(key_node)[0]
            if (value := self.read(value_node, (*path, key))) is not None:
                data[key] = value
        return data | {key: value for key, value in self._merged(node, path).items() if key not in first}

    def _merged(self, node: MappingNode, path: Path) -> dict[str, object]:
        """Return what `<<` brings in (YAML 1.1, merge keys): of several, the first wins."""
        found: dict[str, object] = {}
        for value in (value for key, value in node.value if str(key.tag) == _MERGE):
            for each in value.value if isinstance(value, SequenceNode) else (value,):
                if isinstance(each, MappingNode):
                    found = self._mapping(each, path) | found
        return found

    def _twice(self, node: Node, path: Path, line: int) -> None:
        where = _place(node)
        message = f"duplicate key; it is on line {line} already"
        self.problems.append(
            Problem(file=self.file, line=where[0], column=where[1], path=show(path), message=message),
        )


def read_documents(source: Source, *, label: str | None = None) -> list[Document]:
    """Return the documents of a file that are not empty, called `label`. Raises InputError: not YAML."""
    return list(_documents(source, label))


def _documents(source: Source, label: str | None) -> Iterator[Document]:
    try:
        for node in YAML(typ="safe", pure=True).compose_all(source.text):
            document = Document(source.file, _place(node), label=label)
            document.data = document.read(node)
            if document.data is not None:
                yield document
    except YAMLError as error:
        raise _syntax_error(error, source.file) from error
    except RecursionError as error:
        raise unreadable(source.file, "the file is nested too deeply, or an alias refers to itself") from error


def _syntax_error(error: YAMLError, file: str) -> InputError:
    if not isinstance(error, MarkedYAMLError):
        return unreadable(file, f"not YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    return unreadable(file, f"not YAML: {error.problem or error.context or 'syntax error'}", place)


def unreadable(file: str, message: str, place: tuple[int, int] = (1, 1)) -> InputError:
    """Return the error for a file that cannot be read at all."""
    problem = Problem(file=file, line=place[0], column=place[1], path="file", message=message)
    return InputError(f"{file}: {message}", problems=[problem])


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
