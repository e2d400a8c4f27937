"""YAML text as plain data with the place of every key and value, so that a mistake can be pointed at.

Reads the node graph, not constructed objects: positions stay exact, and all duplicate keys are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vdc.errors import InputError, Problem

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the file to a value."""


class Place(NamedTuple):
    """A line and a column of a file, from 1."""

    line: int
    column: int
    file: str


ROOT: Final = "topology"
"""How the file as a whole is called in messages."""

_TAG: Final = "tag:yaml.org,2002:"
_DEEPEST: Final = 100
_TOO_DEEP: Final = "the file is nested too deeply, or an alias refers to itself"
_MOST_VALUES: Final = 250_000
_SHOWN: Final = 60  # characters of a text
_BASES: Final[Mapping[str, int]] = {"0x": 16, "0o": 8, "0b": 2}
_FALSE: Final = ("false", "no", "off")


@dataclass(slots=True)
class Tree:
    """A file: its `data`, the place of each `key` and `value`, and what was wrong on the way.

    `origins` says of values that are not written where they stand how they came there; `unknown` are the places of
    values that could not be found out: what is wrong with them has been said.
    """

    file: str
    data: object = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    origins: dict[Path, str] = field(default_factory=dict)
    unknown: set[Path] = field(default_factory=set)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem at `path`; if nothing is there (a missing key), at the nearest thing around it."""
        places = (self.keys, self.values) if at_key else (self.values, self.keys)
        for depth in range(len(path), -1, -1):
            for known in places:
                if (place := known.get(path[:depth])) is not None:
                    origin = f" ({self.origins[path]})" if path in self.origins and not at_key else ""
                    return _problem(place, path, message + origin)
        return _problem(Place(1, 1, self.file), path, message)

    def read(self, node: Node, path: Path = ()) -> object:
        """Take in a node and what is below it; return its plain data."""
        self.values.setdefault(path, self._place(node))
        if len(path) > _DEEPEST:
            raise one_problem(self.file, _TOO_DEEP)
        if len(self.values) > _MOST_VALUES:
            raise one_problem(self.file, f"the file has more than {_MOST_VALUES} values, perhaps by aliases of aliases")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(child, (*path, number)) for number, child in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            below = (*path, key)
            if key in data:
                first = self.keys[below][0]
                message = f"duplicate key; it is on line {first} already"
                self.problems.append(_problem(self._place(key_node), below, message))
                continue
            self.keys[below] = self._place(key_node)
            if not value_node.value:  # an empty scalar stands where the next thing begins
                self.values[below] = self.keys[below]
            data[key] = self.read(value_node, below)
        return data

    def _place(self, node: Node) -> Place:
        return Place(node.start_mark.line + 1, node.start_mark.column + 1, self.file)


def show(path: Path) -> str:
    """Return a path as people write it: `racks[0].servers.cs`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or ROOT


def shown(value: object) -> str:
    """Return a value as messages name it."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value[:_SHOWN]}{"…" if len(value) > _SHOWN else ""}"'
        case Mapping():
            return "keys with values"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def read_tree(text: str, *, file: str) -> Tree:
    """Return the tree of a YAML 1.2 document. Raises InputError: not YAML, or empty."""
    yaml = YAML(typ="safe", pure=True)
    tree = Tree(file)
    try:
        node = yaml.compose(text)
    except YAMLError as error:
        raise _syntax_error(error, file) from error
    except RecursionError as error:
        raise one_problem(file, _TOO_DEEP) from error
    if node is None:
        raise one_problem(file, "the file is empty")
    tree.data = tree.read(node)
    return tree


def one_problem(file: str, message: str, *, place: tuple[int, int] = (1, 1)) -> InputError:
    """Return the error for a file that cannot be read at all; `place` is a line and a column."""
    problem = Problem(file=file, line=place[0], column=place[1], path=ROOT, message=message)
    return InputError(f"{file}: {message}", problems=[problem])


def _syntax_error(error: YAMLError, file: str) -> InputError:
    if not isinstance(error, MarkedYAMLError):
        return one_problem(file, f"not YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    reason = error.problem or error.context or "syntax error"
    return one_problem(file, f"not YAML: {reason}", place=place)


def _problem(place: Place, path: Path, message: str) -> Problem:
    return Problem(file=place.file, line=place.line, column=place.column, path=show(path), message=message)


def _scalar(node: Node) -> object:
    text = str(node.value)
    try:
        return _typed(text, str(node.tag).removeprefix(_TAG))
    except ValueError:  # a tag of the file's own, such as `!!int many`
        return text


def _typed(text: str, kind: str) -> object:
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() not in _FALSE
        case "int":
            return _integer(text)
        case "float":
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower())
        case _:
            return text


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits.removeprefix("+"))
    base = _BASES.get(digits[:2], 10)
    return sign * int(digits[2:] if base != 10 else digits, base)
