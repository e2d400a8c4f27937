"""From documents to typed resources: unknown kinds and fields, wrong types and missing values, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from vdc.errors import InputError, Problem
from vdc.imports.documents import Document, Source, read_documents
from vdc.model.words import suggest
from vdc.model.yamltree import Path

_EXPECTED: Final[Mapping[str, str]] = {
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "model_type": "expected fields with values",
    "model_attributes_type": "expected fields with values",
}

_LIMITS: Final[Mapping[str, str]] = {
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error!s}",
}

_PLAIN: Final[Mapping[str, str]] = {
    "missing": "required, but missing",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def _field_name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class Part(BaseModel):
    """A part of a resource: unknown fields are mistakes. Its scalars come as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_field_name)


Text = Annotated[str, StringConstraints(min_length=1)]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


OneOrMany = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""A list, or the only thing of it."""

S = TypeVar("S", bound=Part, covariant=True)


@dataclass(frozen=True, slots=True)
class Resource(Generic[S]):
    """What a document describes, and the document for places."""

    document: Document
    spec: S


@dataclass(frozen=True, slots=True)
class Resources:
    """All resources of some files, in their order; `claimed` are the names of each kind, wrong resources included."""

    all: tuple[Resource[Part], ...]
    claimed: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...]

    def of(self, kind: type[S]) -> tuple[Resource[S], ...]:
        """Return those of one kind."""
        return tuple(Resource(each.document, each.spec) for each in self.all if isinstance(each.spec, kind))


def read_resources(
    sources: Iterable[Source], kinds: Mapping[str, type[Part]], foreign: Mapping[str, str] | None = None
) -> Resources:
    """Read resources of `kinds`; `foreign` are kinds to say more of than that they are unknown.

    Raises InputError for a file that is not YAML; all other mistakes are among the result's problems.
    """
    found: list[Resource[Part]] = []
    claimed: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for document in (document for source in sources for document in read_documents(source)):
        problems += document.problems
        kind = document.text("kind")
        known_by = document.text("name") or (document.text("type") if kind == "Node" else None)
        claimed.setdefault(str(kind), []).append(known_by or "")
        if kind is None or kind not in kinds:
            problems.append(_unknown_kind(document, kind, kinds, foreign or {}))
            continue
        try:
            found.append(Resource(document, kinds[kind].model_validate(document.data)))
        except ValidationError as error:
            problems += mistakes_of(document, kinds[kind], error)
    return Resources(tuple(found), {kind: tuple(names) for kind, names in claimed.items()}, tuple(problems))


def mistakes_of(document: Document, model: type[Part], error: ValidationError) -> list[Problem]:
    """Return what is wrong with a document as problems."""
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    return [
        document.problem(detail["loc"], _message(model, detail))
        for detail in details
        # a list is too short as well where its only entries are wrong
        if detail["type"] != "too_short"
        or not any(place[:-1][: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def refuse(problems: Sequence[Problem]) -> None:
    """Raise InputError if there are any mistakes."""
    if problems:
        raise InputError(f"mistakes: {len(problems)}", problems=problems)


def duplicates(resources: Iterable[Resource[Any]], field: str = "name") -> Iterator[Problem]:
    """Yield each resource whose kind and name, or what `field` tells it by, another has already."""
    first: dict[tuple[str, str], Document] = {}
    for each in resources:
        key = (each.spec.kind, getattr(each.spec, field))
        if (other := first.setdefault(key, each.document)) is not each.document:
            message = f"duplicate {field}; {other.file}:{other.start[0]} has it already"
            yield each.document.problem((field,), message)


def dangling(document: Document, path: Path, name: str, kind: str, resources: Resources) -> Iterator[Problem]:
    """Yield a mistake unless there is a resource `name` of `kind`."""
    known = resources.claimed.get(kind, ())
    if name not in known:
        yield document.problem(path, f'there is no {kind} "{name}"{suggest(name, [each for each in known if each])}')


def _unknown_kind(
    document: Document, kind: str | None, kinds: Mapping[str, type[Part]], foreign: Mapping[str, str]
) -> Problem:
    if kind is None:
        return document.problem((), f"kind: required, but missing; there are {', '.join(kinds)}")
    return document.problem(("kind",), foreign.get(kind) or f'unknown kind "{kind}"{suggest(kind, tuple(kinds))}')


def _message(model: type[Part], detail: ErrorDetails) -> str:
    kind, found = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown field{suggest(str(detail['loc'][-1]), _fields(model, detail['loc'][:-1]))}"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _LIMITS:
        return f"{_LIMITS[kind].format_map(detail['ctx'])}, not {_shown(found)}"
    return f"{_EXPECTED.get(kind, detail['msg'])}, not {_shown(found)}"


def _shown(value: object) -> str:
    match value:
        case str():
            return value if value.removeprefix("-").isdigit() else f'"{value}"'
        case Mapping():
            return "fields with values"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _fields(model: type[Part], path: Path) -> tuple[str, ...]:
    """Return the fields that the part at `path` may have."""
    part: Any = model
    for step in (step for step in path if isinstance(step, str)):
        by_name = {str(each.alias): each for each in part.model_fields.values()}
        part = _part_of(by_name[step].annotation)
    return tuple(str(each.alias) for each in part.model_fields.values())


def _part_of(annotation: Any) -> Any:  # noqa: ANN401 - what a type hint is
    """Return the part within `Part | None` or `tuple[Part, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _part_of(arg)) is not None), None)
