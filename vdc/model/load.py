"""Reading topology files: every mistake at once, each with its line and column.

Rules that reach over fields (`vdc.model.checks`) run even when some fields are wrong: what is wrong is taken
out and something harmless stands in. A finding that rests on a value taken out is not reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vdc.errors import InputError, Problem
from vdc.model import yamltree
from vdc.model.checks import CHECKS, Finding, suggest
from vdc.model.spec import TopologySpec
from vdc.model.yamltree import Tree, one_problem, read_tree

_KEY: Final = "[key]"
"""How pydantic marks, at the end of a location, that the key is wrong and not its value."""

_STAND_INS: Final[Mapping[yamltree.Path, object]] = {
    ("name",): "unnamed",
    ("racks",): [{}],
    ("fabric",): {"borders": 1, "spines": 1, "tors": 1},
    ("fabric", "spines"): 1,
    ("fabric", "tors"): 1,
    ("external",): {"clients": 0},
    ("external", "clients"): 0,
}
"""What stands in for a wrong value while the rest of a file is checked, where leaving it out would not do.

Counts stand in as small as can be: a pool too small for them is too small for whatever was meant.
"""

_LIMITS: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
}

_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "expected a whole number",
    "string_type": "expected text",
    "dict_type": "expected keys with values",
    "mapping_type": "expected keys with values",
    "model_type": "expected keys with values",
    "model_attributes_type": "expected keys with values",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
}


def load(path: Path) -> TopologySpec:
    """Read the topology file at `path`. Raises InputError with every mistake in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise one_problem(str(path), (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise one_problem(str(path), f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    return parse(text, file=str(path))


def parse(text: str, *, file: str) -> TopologySpec:
    """Read a topology from `text`; `file` names it in messages. Raises InputError with every mistake."""
    tree = read_tree(text, file=file)
    if not isinstance(tree.data, dict):
        message = f"{_EXPECTED['model_type']}, not {_shown(tree.data)}"
        raise one_problem(file, message, place=tree.values[()])
    spec, problems, wrong = _validate(tree)
    findings = (finding for check in CHECKS for finding in check(spec)) if spec is not None else ()
    problems += [tree.problem(found.path, found.message) for found in findings if not _follows(found, wrong)]
    problems += tree.problems
    if spec is None or problems:
        raise InputError(f"{file} has mistakes: {len(problems)}", problems=problems)
    return spec


def _validate(tree: Tree) -> tuple[TopologySpec | None, list[Problem], set[yamltree.Path]]:
    """Return a spec made of what is right, what is wrong, and where."""
    problems: list[Problem] = []
    wrong: set[yamltree.Path] = set()
    data = deepcopy(tree.data)
    for _ in range(2):  # the second time without what the first found wrong
        try:
            return TopologySpec.model_validate(data), problems, wrong
        except ValidationError as error:
            details = _sole(error.errors(include_url=False))
        if not problems:
            problems = [_problem(tree, detail) for detail in details]
        for detail in sorted(details, key=lambda each: len(_path(each)), reverse=True):
            wrong.add(_path(detail))
            _take_out(data, detail)
    return None, problems, wrong


def _sole(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short where only its wrong entries make it so."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(place[:-1][: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _follows(finding: Finding, wrong: Collection[yamltree.Path]) -> bool:
    """Return whether a finding rests on a value that was taken out."""
    return any(path[: len(bad)] == bad for path in (finding.path, *finding.because) for bad in wrong)


def _path(detail: ErrorDetails) -> yamltree.Path:
    return tuple(part for part in detail["loc"] if part != _KEY)


def _take_out(data: Any, detail: ErrorDetails) -> None:  # noqa: ANN401 - what YAML holds
    """Remove the value that an error is about; in a list a default stands in: the others keep their place."""
    path = _path(detail)
    *around, last = path
    for part in around:
        data = data[part]
    if isinstance(last, int):
        data[last] = {}
    elif path in _STAND_INS:
        data[last] = deepcopy(_STAND_INS[path])
    else:
        data.pop(last, None)


def _problem(tree: Tree, detail: ErrorDetails) -> Problem:
    path = _path(detail)
    at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1] == _KEY
    return tree.problem(path, _message(detail, path), at_key=at_key)


def _message(detail: ErrorDetails, path: yamltree.Path) -> str:
    kind, found = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key{suggest(str(path[-1]), _known_keys(path[:-1]))}"
    if kind == "missing":
        return "required, but missing"
    if kind == "too_short":
        return "must not be empty"
    if kind == "value_error":
        return f"{detail['ctx']['error']!s}, not {_shown(found)}"
    if kind in _LIMITS:
        return f"{_LIMITS[kind].format_map(detail['ctx'])}, not {_shown(found)}"
    return f"{_EXPECTED.get(kind, detail['msg'])}, not {_shown(found)}"


def _shown(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case Mapping():
            return "keys with values"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _known_keys(path: yamltree.Path) -> tuple[str, ...]:
    """Return the keys that the section at `path` may have."""
    section: Any = TopologySpec
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[str(part)].annotation
        else:
            section = next(arg for arg in reversed(get_args(section)) if arg is not Ellipsis)
    return tuple(section.model_fields) if get_origin(section) is None else ()
