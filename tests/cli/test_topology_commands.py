from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import TOPOLOGIES, Vdc

SMALL = str(TOPOLOGIES / "small.yml")


def test_validate_counts_what_a_valid_file_makes(vdc: Vdc) -> None:
    said = vdc("validate", SMALL)
    assert said.status == 0
    assert "9 routers, 14 links, 3 servers in 3 racks, 1 external" in said.out


def test_validate_prints_every_mistake_with_its_place_and_exits_2(vdc: Vdc, tmp_path: Path) -> None:
    file = tmp_path / "bad.yml"
    file.write_text("name: bad\nrelease: debian-7\nracks:\n  - count: two\n    severs: {cs: 1}\n")
    said = vdc("validate", str(file))
    assert said.status == 2
    lines = said.err.splitlines()
    assert [line for line in lines if not re.match(r".*bad\.yml:\d+:\d+: \S+: .+", line)] == []
    assert {int(line.removeprefix(str(file)).split(":")[1]) for line in lines} == {2, 4, 5}
    assert said.out == ""


def test_validate_of_a_missing_file_exits_2(vdc: Vdc) -> None:
    said = vdc("validate", "nowhere.yml")
    assert said.status == 2
    assert "nowhere.yml" in said.err


VARIED = "name: varied\nvars: {racks: 2}\nracks: [{count: $racks, tors: 1}]\n"


@pytest.mark.parametrize("command", ["validate", "plan", "graph", "inventory"])
def test_a_variable_is_set_in_every_command_that_reads_a_file(vdc: Vdc, tmp_path: Path, command: str) -> None:
    file = tmp_path / "varied.yml"
    file.write_text(VARIED)
    usual, more = vdc(command, str(file)), vdc(command, str(file), "--set", "racks=5")
    assert (usual.status, more.status) == (0, 0)
    assert usual.out != more.out
    wrong = vdc(command, str(file), "--set", "rakcs=5")
    assert wrong.status == 2
    assert wrong.err.startswith('--set rakcs=5: vars: unknown variable "rakcs"; did you mean "racks"?')


@pytest.mark.parametrize("command", ["up", "apply", "test"])
def test_commands_that_build_take_variables_too(vdc: Vdc, command: str) -> None:
    assert "--set" in vdc(command, "--help").out


def test_schema_prints_the_committed_schema(vdc: Vdc) -> None:
    said = vdc("schema")
    assert (said.status, said.out) == (0, (TOPOLOGIES / "schema.json").read_text(encoding="utf-8"))


def test_plan_as_text_names_every_device_and_kind_of_resource(vdc: Vdc) -> None:
    said = vdc("plan", SMALL, "--name", "mine")
    assert said.status == 0
    assert said.out.startswith("mine: topology small, release debian-12, IPv4\n")
    words = set(said.out.split())
    assert {"border0", "spine1", "rack2-tor1", "rack2-cs0", "external", "vdc-mine.spine1"} <= words
    for row in ("namespace x11", "bird x9", "overlay x3", "domain x3"):
        assert row in said.out


def test_plan_as_json_is_the_whole_plan_and_the_same_at_every_run(vdc: Vdc) -> None:
    first = vdc("plan", SMALL, "--json")
    second = vdc("plan", SMALL, "--json")
    assert first.status == 0
    assert first == second
    assert json.loads(first.out)["context"]["instance"] == "small"


def test_plan_with_an_impossible_name_exits_2(vdc: Vdc) -> None:
    said = vdc("plan", SMALL, "--name", "Not A Name")
    assert said.status == 2
    assert "Not A Name" in said.err


@pytest.mark.parametrize("file", sorted(TOPOLOGIES.glob("*.yml")), ids=lambda path: path.name)
def test_every_topology_is_named_in_the_readme(file: Path) -> None:
    assert f"topologies/{file.name}" in (TOPOLOGIES.parent / "README.md").read_text(encoding="utf-8")
