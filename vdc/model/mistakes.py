"""What pydantic found wrong in a file, in words and with the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from vdc.errors import Problem
from vdc.model import yamltree
from vdc.model.words import suggest
from vdc.model.yamltree import Tree, shown

_KEY: Final = "[key]"
"""How pydantic marks, at the end of a location, that the key is wrong and not its value."""

_LIMITS: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
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


def sole(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short where only its wrong entries make it so."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(place[:-1][: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def path_of(detail: ErrorDetails) -> yamltree.Path:
    """Return where a mistake is."""
    return tuple(part for part in detail["loc"] if part != _KEY)


def problem(tree: Tree, detail: ErrorDetails, top: type[BaseModel], also: Sequence[str] = ()) -> Problem:
    """Return what is wrong in words; the file is a `top`, and may have the keys `also` besides."""
    path = path_of(detail)
    at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1] == _KEY
    return tree.problem(path, _message(detail, path, (top, also)), at_key=at_key)


def _message(detail: ErrorDetails, path: yamltree.Path, file: tuple[type[BaseModel], Sequence[str]]) -> str:
    kind, found = detail["type"], detail["input"]
    match kind:
        case "extra_forbidden":
            return f"unknown key{suggest(str(path[-1]), _known_keys(path[:-1], *file))}"
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


def _known_keys(path: yamltree.Path, top: type[BaseModel], also: Sequence[str]) -> tuple[str, ...]:
    """Return the keys that the section at `path` may have; none where the file chooses them."""
    section: Any = top
    for part in path:
        section = _below(section, part)
    if not _is_section(section):
        return ()
    known = tuple(field.alias or name for name, field in section.model_fields.items())
    return (*known, *also) if not path else known


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
