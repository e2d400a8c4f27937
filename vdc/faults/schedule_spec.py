"""The language of schedules: what breaks, where, when and for how long, and what must hold meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from vdc.errors import InputError
from vdc.model import yamltree
from vdc.model.mistakes import problem, sole
from vdc.model.reuse import read_file
from vdc.model.section import Section
from vdc.model.values import Duration, parse_duration
from vdc.model.words import suggest
from vdc.model.yamltree import Tree

_DURATION: Final = r"\d+(\.\d+)? ?(us|ms|s|min)"


class Span(NamedTuple):
    """The least and the most seconds that may be drawn."""

    least: float
    most: float


def parse_span(value: object) -> Span:
    """Return what `5s` or `2s..10s` means. Raises ValueError."""
    if isinstance(value, Span):
        return value
    if not isinstance(value, str):
        raise ValueError(_EXPECTED)  # noqa: TRY004 - pydantic takes ValueError
    least, dots, most = value.partition("..")
    try:
        span = Span(parse_duration(least), parse_duration(most if dots else least))
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if span.least > span.most:
        raise ValueError("expected the shorter time first")
    return span


def _parse_length(value: object) -> Span:
    span = parse_span(value)
    if span.least <= 0:
        raise ValueError("a fault lasts longer than that")
    return span


def _parse_word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("expected text or a number")  # noqa: TRY004 - pydantic takes ValueError
    return str(value)


_EXPECTED: Final = "expected a duration such as 9s, or two to draw from such as 2s..10s"

_SPAN = WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION}(\.\.{_DURATION})?$", "examples": ["9s", "2s..9s"]})
When = Annotated[Span, BeforeValidator(parse_span), _SPAN]
Length = Annotated[Span, BeforeValidator(_parse_length), _SPAN]
Word = Annotated[str, BeforeValidator(_parse_word), WithJsonSchema({"type": ["string", "number"]})]


class _Part(Section):
    model_config = ConfigDict(use_attribute_docstrings=True)


class WhatSpec(_Part):
    """What may break: a kind of `vdc fault list`, and what it strikes."""

    fault: str
    """The kind of fault."""
    fields: Annotated[Mapping[str, Word], Field(alias="with", default_factory=dict)]
    """Its fields, as `vdc fault run` takes them; devices may be selectors."""


class EntrySpec(_Part):
    """A fault, or several alike: exactly one of `fault` and `one-of`."""

    fault: str | None = None
    """The kind of fault."""
    fields: Annotated[Mapping[str, Word], Field(alias="with", default_factory=dict)]
    """Its fields, as `vdc fault run` takes them; devices may be selectors."""
    exactly: Mapping[str, Any] | None = None
    """Instead of `with`: its fields as a history records them, where nothing is left to be drawn."""
    one_of: Annotated[tuple[WhatSpec, ...], Field(alias="one-of", default=(), strict=False)]
    """Instead of `fault`: what breaks is drawn from these."""
    at: Annotated[When, Field(default_factory=lambda: Span(0.0, 0.0))]
    """How long after the beginning it breaks; two durations are what it is drawn from."""
    lasts: Annotated[Length, Field(alias="for", default_factory=lambda: Span(10.0, 10.0))]
    """How long it lasts once it bites, by default 10 s; two durations are what it is drawn from."""
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many such faults there are, each drawn anew."""


class ExpectSpec(_Part):
    """What must hold, besides that all heals, converges and serves in the end, and no acknowledged write is lost."""

    outage: Duration | None = None
    """The longest outage of the flows between racks and clients outside; by default any may be."""
    service: Duration | None = None
    """The longest outage of the cluster's service; by default any may be."""
    converge: Duration | None = None
    """Within which time all has converged after the last fault; by default what its size may take."""


class ScheduleSpec(_Part):
    """A whole schedule."""

    seed: int | None = None
    """What all draws begin with; by default a new one at each run, which is told."""
    faults: Annotated[tuple[EntrySpec, ...], Field(min_length=1, strict=False)]
    """What breaks."""
    expect: Annotated[ExpectSpec, Field(default_factory=ExpectSpec)]
    """What must hold."""


class Loaded(NamedTuple):
    """A schedule as it is written, and where each part of it stands."""

    spec: ScheduleSpec
    tree: Tree

    def mistake(self, entry: int, message: str) -> InputError:
        """Return the error for what is wrong with an entry."""
        found = self.tree.problem(("faults", entry), message)
        return InputError(str(found), problems=[found])


def load(path: Path, kinds: tuple[str, ...]) -> Loaded:
    """Read a schedule; `kinds` are the faults there are. Raises InputError with every mistake and its place."""
    tree = read_file(path)
    try:
        spec = ScheduleSpec.model_validate(tree.data)
    except ValidationError as error:
        problems = [problem(tree, each, ScheduleSpec) for each in sole(error.errors(include_url=False))]
        problems += tree.problems
        raise InputError(f"{path} has mistakes: {len(problems)}", problems=problems) from error
    problems = [
        *tree.problems,
        *(tree.problem(place, text) for number, each in enumerate(spec.faults) for place, text in _wrong(number, each)),
    ]
    problems += [tree.problem(*each) for each in _unknown(spec, kinds)]
    if problems:
        raise InputError(f"{path} has mistakes: {len(problems)}", problems=problems)
    return Loaded(spec, tree)


def _wrong(number: int, entry: EntrySpec) -> list[tuple[yamltree.Path, str]]:
    path: yamltree.Path = ("faults", number)
    found: list[tuple[yamltree.Path, str]] = []
    if (entry.fault is None) == (not entry.one_of):
        found.append((path, "expected exactly one of `fault` and `one-of`"))
    if entry.fields and (entry.exactly is not None or entry.one_of):
        found.append(((*path, "with"), "has a meaning only beside `fault`, and not beside `exactly`"))
    if entry.exactly is not None and entry.fault is None:
        found.append(((*path, "exactly"), "has a meaning only beside `fault`"))
    return found


def _unknown(spec: ScheduleSpec, kinds: tuple[str, ...]) -> list[tuple[yamltree.Path, str]]:
    named: list[tuple[yamltree.Path, str]] = []
    for number, entry in enumerate(spec.faults):
        if entry.fault is not None:
            named.append((("faults", number, "fault"), entry.fault))
        named += [(("faults", number, "one-of", place, "fault"), each.fault) for place, each in enumerate(entry.one_of)]
    # one of somebody else's is MODULE:CLASS
    return [
        (path, f'no fault "{kind}"{suggest(kind, kinds)}')
        for path, kind in named
        if kind not in kinds and ":" not in kind
    ]


def schema() -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of schedules, for editors."""
    made = ScheduleSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "vdc schedule of faults"}
