"""The JSON Schema (draft 2020-12) of topology files as they are written, for editors.

Made from `vdc.model.spec`. What pydantic does not know is added: what keys mean, `extends` and `vars`, that a variable
may stand for any scalar, and that an empty value removes what a base has.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from pydantic.fields import FieldInfo

from vdc.model import routing_spec, server_spec, spec
from vdc.model.reuse import EXTENDS, VARIABLE, VARS
from vdc.model.section import Section
from vdc.model.spec import TopologySpec
from vdc.model.written import written

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = "reference"
_SCALARS: Final = ("string", "integer", "number", "boolean")
_MERGED: Final = ("DeviceSpec",)
"""Sections that a file may give in part, as a base gives the rest: there nothing is required."""

_EXTENDS: Final = {
    "description": "Files that this one is laid over, relative to it: mappings are merged, the rest replaces.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}
_VARS: Final = {
    "description": "Variables with their values; `$name` stands for one, and `--set name=value` sets it.",
    "type": "object",
    "propertyNames": {"pattern": f"^{VARIABLE.pattern}$"},
    "additionalProperties": {"type": [*_SCALARS, "null"]},
}


def schema_text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Mapping[str, Any]:
    """Return the schema."""
    made = TopologySpec.model_json_schema(by_alias=True)
    sections = {name: _section(name, each) for name, each in sorted(made.pop("$defs").items())}
    top = _section(TopologySpec.__name__, made)
    top["properties"] = {EXTENDS: _EXTENDS, VARS: _VARS, **top["properties"]}
    del top["required"]
    return {
        "$schema": DRAFT,
        "title": "vdc topology",
        **top,
        "anyOf": [{"required": ["name"]}, {"required": [EXTENDS]}],
        "$defs": {**sections, _REFERENCE: {"type": "string", "pattern": rf"^\${VARIABLE.pattern}$"}},
    }


def _section(name: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section's schema with what its keys mean, and their defaults as they are written."""
    kind = sections()[name]
    fields = {field.alias or key: (key, field) for key, field in kind.model_fields.items()}
    properties = {}
    for key, property_ in made["properties"].items():
        attribute, field = fields[key]
        described = {"description": meanings(name)[attribute], **_value(property_)}
        default = default_of(field)
        properties[key] = described if default is None else {**described, "default": default}
    found = {
        "type": "object",
        "description": _sentence(made["description"]),
        "properties": properties,
        "additionalProperties": False,
    }
    return found if name in _MERGED or "required" not in made else {**found, "required": made["required"]}


def _value(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the value of a key: like that of an entry of a list, and it may be empty."""
    found = _entry(made)
    if "anyOf" in found:
        return {**found, "anyOf": [*found["anyOf"], {"type": "null"}]}
    if "$ref" in found:
        return {"anyOf": [found, {"type": "null"}]}
    return {**found, "type": [found["type"], "null"]}


def _entry(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which a variable may stand for every scalar."""
    found = {key: value for key, value in made.items() if key not in ("title", "default", "anyOf")}
    choices = [each for each in made.get("anyOf", ()) if each != {"type": "null"}]
    if choices:
        (only,) = choices
        found |= only
    if found.get("type") in _SCALARS:
        return {"anyOf": [found, {"$ref": f"#/$defs/{_REFERENCE}"}]}
    if "items" in found:
        found["items"] = _entry(found["items"])
    if "prefixItems" in found:
        found["prefixItems"] = [_entry(each) for each in found["prefixItems"]]
    if "patternProperties" in found:
        named = {pattern: _value(each) for pattern, each in found["patternProperties"].items()}
        found |= {"patternProperties": named, "additionalProperties": False}
    elif "additionalProperties" in found:
        found["additionalProperties"] = _value(found["additionalProperties"])
    return found


def default_of(field: FieldInfo) -> object:
    """Return the default of a key as it is written; None where it has none, or where that is what its keys have."""
    default = None if field.default_factory is not None or field.is_required() else field.default
    return None if isinstance(default, Section) or default in (None, ()) else written(field, default)


@cache
def sections() -> Mapping[str, type[Section]]:
    """Return the classes of the language by name."""
    modules = (spec, server_spec, routing_spec)
    found = (each for module in modules for each in vars(module).values() if isinstance(each, type))
    return {each.__name__: each for each in found if issubclass(each, Section)}


@cache
def meanings(name: str) -> Mapping[str, str]:
    """Return what each key of a section means: the docstrings of its attributes, inherited ones too."""
    found: dict[str, str] = {}
    for kind in reversed(sections()[name].__mro__):
        if issubclass(kind, Section) and kind is not Section:
            found |= _docstrings(inspect.getsource(kind))
    return found


def _docstrings(source: str) -> dict[str, str]:
    return dict(_documented(ast.parse(source).body[0]))


def _documented(section: ast.stmt) -> Iterator[tuple[str, str]]:
    assert isinstance(section, ast.ClassDef)
    for statement, following in zip(section.body, section.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=str(key))), ast.Expr(value=ast.Constant(value=str(text))):
                yield key, _sentence(text)


def _sentence(text: str) -> str:
    """Return a docstring on one line for each paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
