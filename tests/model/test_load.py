from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import Golden
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load, parse
from vdc.model.schema import schema

RICH_FILE = Path(__file__).parent / "rich.yml"
ERRORS = Path(__file__).parents[1] / "golden" / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.yml"))


def mistakes(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(text, file="t.yml")
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_every_mistake_is_told_with_its_place(case: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InputError) as caught:
        parse((ERRORS / f"{case}.yml").read_text(encoding="utf-8"), file=f"{case}.yml")
    golden(ERRORS / f"{case}.txt", f"{caught.value}\n")


def test_ten_different_mistakes_print_ten_lines() -> None:
    error = mistakes((ERRORS / "ten.yml").read_text(encoding="utf-8"))
    assert len(str(error).splitlines()) == 10
    assert len({problem.message for problem in error.problems}) == 10


def test_a_short_file_is_enough() -> None:
    spec = parse("name: tiny\nracks: [{count: 2}]\n", file="t.yml")
    assert (spec.fabric.spines, spec.release, len(spec.rack_servers())) == (2, "debian-12", 2)


@pytest.mark.parametrize(("text", "boot"), [("", "fork"), ("boot: fork\n", "fork"), ("boot: cold\n", "cold")])
def test_servers_start_as_clones_unless_the_file_says_cold(text: str, boot: str) -> None:
    spec = parse(f"name: x\n{text}racks: [{{}}]\n", file="t.yml")
    assert (spec.boot, expand(spec).boot) == (boot, boot)


def test_sizes_are_bytes_and_pools_are_networks() -> None:
    spec = parse(
        "name: x\nracks: [{}]\nroles: {cs: {memory: 1GiB, data: 512 MiB}}\npools: {node: 10.9.0.0/24}\n",
        file="t.yml",
    )
    assert (spec.roles["cs"].memory, spec.roles["cs"].data) == (1 << 30, 512 << 20)
    assert spec.pools.node == IPv4Network("10.9.0.0/24")


def test_racks_are_numbered_through_the_groups() -> None:
    spec = parse("name: x\nracks: [{count: 2, servers: {a: 1}}, {servers: {b: 3}}]\nroles: {a: {}, b: {}}\n", file="t")
    assert spec.rack_servers() == ({"a": 1}, {"a": 1}, {"b": 3})


def test_yaml_anchors_may_be_used() -> None:
    spec = parse("name: x\nracks: [&r {servers: {cs: 1}}, *r]\nroles: {cs: {}}\n", file="t.yml")
    assert spec.rack_servers() == ({"cs": 1}, {"cs": 1})


def test_a_missing_file_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yml:1:1: topology: no such file or directory"):
        load(tmp_path / "nowhere.yml")


def test_a_file_that_is_not_text_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "binary.yml"
    path.write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load(path)


def test_an_alias_to_itself_is_a_mistake_and_not_a_crash() -> None:
    assert "alias" in str(mistakes("name: x\nracks: &r [*r]\n"))


@pytest.mark.parametrize("depth", [101, 300, 5000])
def test_a_file_that_is_nested_too_deeply_is_a_mistake(depth: int) -> None:
    assert "nested too deeply" in str(mistakes(f"name: x\nracks: {'[' * depth}{']' * depth}\n"))


def test_two_documents_in_a_file_are_a_mistake() -> None:
    assert "not YAML" in str(mistakes("name: x\n---\nname: y\n"))


def test_a_rule_is_not_reported_when_it_rests_on_a_value_that_is_wrong_itself() -> None:
    error = mistakes("name: x\nracks: [{}]\npools: {link: nonsense, node: 10.0.0.0/20}\n")
    assert [problem.path for problem in error.problems] == ["pools.link"]


def test_a_pool_is_not_too_small_because_of_a_count_that_is_wrong_itself() -> None:
    error = mistakes("name: x\nfabric: {spines: many}\nracks: [{}]\npools: {link: 10.0.0.0/26}\n")
    assert [problem.path for problem in error.problems] == ["fabric.spines"]


def test_a_file_that_is_too_large_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    path.write_text(f"name: x\n#{' ' * (17 << 20)}\n", encoding="utf-8")
    with pytest.raises(InputError, match="the file has 17 MiB, and a topology at most 16"):
        load(path)


def test_a_long_text_is_not_repeated_as_a_whole() -> None:
    error = mistakes(f"name: x\nracks: [{{}}]\nboot: {'x' * 5000}\n")
    assert len(str(error)) < 200


def test_aliases_of_aliases_do_not_fill_the_memory() -> None:
    lines = [f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 10)}]" for depth in range(1, 9)]
    assert "more than 250000 values" in str(mistakes("\n".join(["a0: &a0 [x]", *lines])))


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("10.0.0.0/8")
_keys = st.sampled_from(
    [
        "name",
        "release",
        "boot",
        "fabric",
        "spines",
        "racks",
        "count",
        "servers",
        "roles",
        "Boot",
        "cs",
        "cpu",
        "pools",
    ]
)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner))


def paths(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a file has values."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from paths(value, (*path, key))


def mutated(data: Any, path: tuple[str | int, ...], how: str, value: object) -> object:
    """A file with one mistake, or with none if nobody minds."""
    changed = deepcopy(data)
    holder = changed
    for part in path[:-1]:
        holder = holder[part]
    last = path[-1]
    if how == "drop":
        del holder[last]
    elif how == "typo" and isinstance(last, str):
        holder[f"{last}x"] = holder.pop(last)
    else:
        holder[last] = value
    return changed


RICH = YAML(typ="safe", pure=True).load(RICH_FILE.read_text(encoding="utf-8"))
SCHEMA = jsonschema.Draft202012Validator(schema())
PLACES = sorted(paths(RICH), key=str)


def test_the_file_that_is_mutated_is_valid() -> None:
    assert parse(json.dumps(RICH), file="rich.yml").name == "rich"


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from(["drop", "typo", "replace"]), _values)
def test_a_valid_file_with_a_mistake_is_still_a_topology_or_told_what_is_wrong(
    place: tuple[str | int, ...], how: str, value: object
) -> None:
    """And what is a topology is one by the schema, too."""
    data = mutated(RICH, place, how, value)
    try:
        spec = parse(json.dumps(data), file="t.yml")
    except InputError as error:
        problems = error.problems
    else:
        expand(spec, {})
        SCHEMA.validate(data)
        return
    assert problems


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_keys, _values))
# the list as a whole is replaced because of an entry that has more mistakes
@example({"racks": [None, {"name": None, "boot": None, "roles": {"name": None, "boot": None, "fabric": None}}]})
def test_whatever_a_file_holds_it_is_a_topology_or_an_input_error_with_places(
    data: dict[str, object],
) -> None:
    try:
        parse(json.dumps(data), file="t.yml")
    except InputError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert len(problems) == len(set(problems))


def test_problems_come_in_file_order() -> None:
    error = mistakes((ERRORS / "ten.yml").read_text(encoding="utf-8"))
    assert [p.line for p in error.problems] == sorted(p.line for p in error.problems)
