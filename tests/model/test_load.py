from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Golden
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load, parse

ERRORS = Path(__file__).parents[1] / "golden" / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.yml"))


def mistakes(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(text, file="t.yml")
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_every_mistake_is_told_with_its_place(case: str, golden: Golden) -> None:
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


def test_two_documents_in_a_file_are_a_mistake() -> None:
    assert "not YAML" in str(mistakes("name: x\n---\nname: y\n"))


def test_a_rule_is_not_reported_when_it_rests_on_a_value_that_is_wrong_itself() -> None:
    error = mistakes("name: x\nracks: [{}]\npools: {link: nonsense, node: 10.0.0.0/20}\n")
    assert [problem.path for problem in error.problems] == ["pools.link"]


def test_a_pool_is_not_too_small_because_of_a_count_that_is_wrong_itself() -> None:
    error = mistakes("name: x\nfabric: {spines: many}\nracks: [{}]\npools: {link: 10.0.0.0/29}\n")
    assert [problem.path for problem in error.problems] == ["fabric.spines"]


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


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_keys, _values))
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
