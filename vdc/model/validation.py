"""From plain data to a spec: what pydantic found wrong, in words; and a spec of what is right.

Rules that reach over fields (`vdc.model.checks`) run even when some fields are wrong: what is wrong is taken
out and something harmless stands in. A finding that rests on a value taken out is not reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vdc.errors import Problem
from vdc.model import yamltree
from vdc.model.checks import Finding, findings
from vdc.model.reuse import EXTENDS, VARS
from vdc.model.spec import TopologySpec
from vdc.model.words import suggest
from vdc.model.yamltree import Tree, shown

_KEY: Final = "[key]"
"""How pydantic marks, at the end of a location, that the key is wrong and not its value."""

_ROUNDS: Final = 12
"""How often what is wrong is taken out: each time shows what of its surroundings cannot be without it."""

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

_ENTRIES: Final[Mapping[str, object]] = {
    "links": {"between": ["*", "*"], "mtu": 1500},
    "volumes": {"name": "x", "kind": "empty", "size": "1GiB"},
}
"""What stands in for a wrong entry of a list, where an entry without keys would not do."""

_LIMITS: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be {expected}",
}

_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "dict_type": "expected keys with values",
    "mapping_type": "expected keys with values",
    "model_type": "expected keys with values",
    "model_attributes_type": "expected keys with values",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
}


def validated(tree: Tree) -> tuple[TopologySpec | None, list[Problem]]:
    """Return a spec made of what is right in a tree, and every problem of it."""
    spec, problems, wrong = shaped(tree)
    found = findings(spec) if spec is not None else ()
    problems += [
        tree.problem(each.path, each.message, at_key=each.at_key) for each in found if not _follows(each, wrong)
    ]
    return spec, list(dict.fromkeys(problems))


def shaped(tree: Tree) -> tuple[TopologySpec | None, list[Problem], set[yamltree.Path]]:
    """Return a spec made of what is of the right shape, the problems of the rest, and where those are."""
    problems: list[Problem] = []
    wrong: set[yamltree.Path] = set()
    data = deepcopy(tree.data)
    for turn in range(_ROUNDS):
        try:
            return TopologySpec.model_validate(data), problems, wrong
        except ValidationError as error:
            details = _sole(error.errors(include_url=False))
        if turn == 0:
            problems = [_problem(tree, detail) for detail in details if _path(detail) not in tree.unknown]
        for detail in sorted(details, key=lambda each: len(_path(each)), reverse=True):
            wrong.add(_take_out(data, detail))
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


def _take_out(data: Any, detail: ErrorDetails) -> yamltree.Path:  # noqa: ANN401 - what YAML holds
    """Replace what an error is about by something harmless; return its path.

    In a list something stands in, so that the others keep their places; where nothing can, the list goes.
    """
    path = _path(detail)
    if detail["type"] == "missing" and path not in _STAND_INS:
        path = path[:-1]
    while path:
        *around, last = path
        holder = _at(data, around)
        if isinstance(holder, list) and isinstance(last, int):
            harmless = _ENTRIES.get(str(around[-1]), {})
            if holder[last] != harmless:
                holder[last] = deepcopy(harmless)
                return path
        elif isinstance(holder, dict) and (path in _STAND_INS or last in holder):
            _leave_out(holder, path)
            return path
        path = path[:-1]
    return path


def _at(data: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401 - as above
    for part in path:
        if isinstance(data, dict) and part not in data:
            return None
        data = data[part]
    return data


def _leave_out(holder: dict[str, object], path: yamltree.Path) -> None:
    if path in _STAND_INS:
        holder[str(path[-1])] = deepcopy(_STAND_INS[path])
    else:
        del holder[str(path[-1])]


def _problem(tree: Tree, detail: ErrorDetails) -> Problem:
    path = _path(detail)
    at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1] == _KEY
    return tree.problem(path, _message(detail, path), at_key=at_key)


def _message(detail: ErrorDetails, path: yamltree.Path) -> str:
    kind, found = detail["type"], detail["input"]
    match kind:
        case "extra_forbidden":
            return f"unknown key{suggest(str(path[-1]), known_keys(path[:-1]))}"
        case "missing":
            return "required, but missing" if isinstance(path[-1], str) else f"must have {path[-1] + 1} entries"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"must have {detail['ctx']['max_length']} entries, not {detail['ctx']['actual_length']}"
    expected = _EXPECTED.get(kind, detail["msg"])
    if kind == "value_error":
        expected = str(detail["ctx"]["error"])
    elif kind in _LIMITS:
        expected = _LIMITS[kind].format_map(detail["ctx"])
    return f"{expected}, not {shown(found)}"


def known_keys(path: yamltree.Path) -> tuple[str, ...]:
    """Return the keys that the section at `path` may have; none where the file chooses them."""
    section: Any = TopologySpec
    for part in path:
        section = _below(section, part)
    if not _is_section(section):
        return ()
    known = tuple(field.alias or name for name, field in section.model_fields.items())
    return (*known, EXTENDS, VARS) if not path else known


def _below(section: Any, part: str | int) -> Any:  # noqa: ANN401 - a type
    """Return the type of what is at a key or position of a type."""
    if _is_section(section):
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        return _bare(fields[str(part)].annotation)
    return _bare(next(arg for arg in reversed(get_args(section)) if arg is not Ellipsis))


def _bare(kind: Any) -> Any:  # noqa: ANN401 - a type
    """Return a type without what may be said beside it: rules, and that it may be left out."""
    while get_origin(kind) in {Annotated, Union, UnionType}:
        kind = next(_parts(kind))
    return kind


def _parts(kind: Any) -> Iterator[Any]:  # noqa: ANN401 - a type
    arguments = get_args(kind)
    yield from (
        arguments[:1] if get_origin(kind) is Annotated else (each for each in arguments if each is not type(None))
    )


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
