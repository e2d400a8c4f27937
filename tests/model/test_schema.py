from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.conftest import Golden
from vdc.model.schema import meanings, schema, schema_text, sections

ROOT = Path(__file__).parents[2]
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yml"))
ELSEWHERE = {
    ("", "extends"),
    ("ImageSpec", "file"),  # instead of url
    *(("ServerSpec", key) for key in ("user_data", "network_config", "ignition")),  # files
    *(("ServerSpec", key) for key in ("tpm", "netboot", "bmc")),  # refused
}
"""Keys that `rich.yml` cannot have."""

ERRORS = ROOT / "tests" / "golden" / "errors"


def mistakes(text: str) -> list[str]:
    checker = jsonschema.Draft202012Validator(schema())
    return [error.message for error in checker.iter_errors(YAML(typ="safe", pure=True).load(text))]


def test_the_committed_schema_is_what_the_command_prints(golden: Golden) -> None:
    golden(ROOT / "topologies" / "schema.json", schema_text())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_every_topology_is_as_the_schema_says(path: Path) -> None:
    assert mistakes(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_every_topology_names_the_schema_for_editors(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize("case", ["types", "numbers", "volumes", "links", "boot", "list"])
def test_the_schema_refuses_what_is_of_the_wrong_shape(case: str) -> None:
    assert mistakes((ERRORS / f"{case}.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "{name: x, vars: {n: 2, size: 1GiB}, racks: [{count: $n}], roles: {cs: {memory: $size}}}",
        "{extends: [a.yml, b.yml], fabric: {mtu: null}, roles: {cs: null}, devices: {fw: {role: cs}}}",
        "{name: x, family: dual, fabric: {links: unnumbered}, networks: {lan: {prefixes: [10.9.0.0/24]}}}",
        "{name: x, links: [{between: [a, 'b*'], delay: 1.5ms, loss: 0.5%, rate: 1Gbit, addresses: [10.0.0.0/31, $b]}]}",
    ],
)
def test_the_schema_takes_variables_and_what_removes(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{racks: [{}]}",
        "{name: x, racks: [null]}",
        "{name: x, fabric: {spines: $}}",
        "{name: x, fabric: {spines: two}}",
        "{name: x, roles: {cs: {memory: 640M}}}",
        "{name: x, roles: {Cs: {}}}",
        "{name: x, pools: {node: fd00::/64}}",
        "{name: x, links: [{between: [a]}]}",
        "{name: x, vars: {a: [1]}}",
        "{name: x, overrides: {a: {macs: [one]}}}",
    ],
)
def test_the_schema_refuses(text: str) -> None:
    assert mistakes(text)


def properties(made: Any) -> list[Any]:
    """Every property of a schema, at whatever depth."""
    if isinstance(made, dict):
        below = [each for value in made.values() for each in properties(value)]
        return [*(made["properties"].values() if "properties" in made else ()), *below]
    return [each for value in made for each in properties(value)] if isinstance(made, list) else []


def test_every_key_has_a_description_and_defaults_are_written_as_in_files() -> None:
    made = json.loads(schema_text())
    every = properties(made)
    assert len(every) > 150
    assert [each for each in every if not each.get("description")] == []
    hold = made["$defs"]["RoutingSpec"]["properties"]["hold"]
    assert (hold["default"], made["$defs"]["PoolsSpec"]["properties"]["link"]["default"]) == ("9s", "10.0.0.0/20")


@pytest.mark.parametrize("name", sorted(set(sections()) - {"Section"}))
def test_every_key_of_a_section_has_a_meaning(name: str) -> None:
    assert set(meanings(name)) == set(sections()[name].model_fields)


def used(data: Any, made: Any, whole: Any) -> Iterator[tuple[str, str]]:
    """Every key that a file uses, with the section it is of."""
    for choice in (made, *made.get("anyOf", ())):
        name = choice.get("$ref", "").rpartition("/")[2]
        section = whole["$defs"][name] if name else choice
        for key, value, below in entries(data, section):
            if key is not None:
                yield name, key
            yield from used(value, below, whole)


def entries(data: Any, section: Any) -> Iterator[tuple[str | None, Any, Any]]:
    """What a value holds, each with its key, if it is one of the language, and its schema."""
    if isinstance(data, list):
        yield from ((None, each, section["items"]) for each in data if "items" in section)
        return
    known = section.get("properties", {})
    others = [*section.get("patternProperties", {}).values(), section.get("additionalProperties")]
    for key, value in data.items() if isinstance(data, dict) else ():
        if key in known:
            yield key, value, known[key]
        else:
            yield from ((None, value, each) for each in others if isinstance(each, dict))


def test_a_file_uses_every_key() -> None:
    """`rich.yml`, which other tests take apart."""
    whole = schema()
    data = YAML(typ="safe", pure=True).load((Path(__file__).parent / "rich.yml").read_text(encoding="utf-8"))
    keys = {(name, key) for name, made in whole["$defs"].items() for key in made.get("properties", {})}
    keys |= {("", key) for key in whole["properties"]}
    same = {name for name, _ in keys if name in {"PoolsSpec", "Pools6Spec", "AsnSpec", "OverrideSpec", "ClientsSpec"}}
    missing = {(name, key) for name, key in keys - set(used(data, whole, whole)) if name not in same}
    assert missing == ELSEWHERE
