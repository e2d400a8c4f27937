from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vdc.errors import InputError
from vdc.model.load import load, parse, read_seeds, read_topology
from vdc.model.spec import TopologySpec

Files = Callable[..., Path]

BASE = (
    "vars: {spines: 4, memory: 1GiB}\nfabric: {spines: $spines, tors: 1}\n"
    "roles: {cs: {memory: $memory, cpu: 2}, ss: {}}\n"
)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Writes files by name; returns the path of the first."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.yml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / f"{next(iter(texts)).replace('__', '/')}.yml"

    return write


def mistakes(path: Path, *sets: str) -> list[str]:
    """What is wrong, without the folder."""
    with pytest.raises(InputError) as caught:
        load(path, sets)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_mappings_are_merged_and_the_rest_replaces(files: Files) -> None:
    top = files(
        top="extends: base.yml\nname: x\nracks: [{servers: {cs: 1}}]\nfabric: {tors: 3}\nroles: {cs: {cpu: 4}}\n",
        base=f"{BASE}racks: [{{count: 5}}, {{count: 6}}]\n",
    )
    spec = load(top)
    assert (spec.fabric.spines, spec.fabric.tors, len(spec.rack_servers())) == (4, 3, 1)
    assert (spec.roles["cs"].cpu, spec.roles["cs"].memory) == (4, 1 << 30)


def test_an_empty_value_removes_what_a_base_has(files: Files) -> None:
    top = files(top="extends: base.yml\nname: x\nracks: [{}]\nfabric:\nroles: {ss: , cs: {memory: }}\n", base=BASE)
    spec = load(top)
    assert (spec.fabric.spines, tuple(spec.roles), spec.roles["cs"].memory) == (2, ("cs",), None)


def test_an_empty_value_is_a_mistake_where_no_base_has_the_key(files: Files) -> None:
    top = files(top="extends: base.yml\nname: x\nracks: [{}]\nexternal:\n", base=BASE)
    assert mistakes(top) == ["top.yml:4:1: external: expected keys with values, not empty"]


def test_later_bases_lie_over_earlier_ones_and_bases_may_have_bases(files: Files) -> None:
    top = files(
        top="extends: [one.yml, sub/two.yml]\nname: x\nracks: [{}]\n",
        one="fabric: {spines: 1, tors: 1, borders: 3}\n",
        sub__two="extends: three.yml\nfabric: {tors: 5}\n",
        sub__three="fabric: {tors: 6, spines: 7}\n",
    )
    fabric = load(top).fabric
    assert (fabric.spines, fabric.tors, fabric.borders) == (7, 5, 3)


def test_a_base_may_be_reached_by_two_ways(files: Files) -> None:
    top = files(
        top="extends: [one.yml, two.yml]\nname: x\nracks: [{}]\n",
        one="extends: base.yml\n",
        two="extends: base.yml\n",
        base="fabric: {spines: 3}\n",
    )
    assert load(top).fabric.spines == 3


def test_files_that_extend_each_other_are_a_mistake(files: Files) -> None:
    top = files(top="extends: other.yml\nname: x\nracks: [{}]\n", other="extends: top.yml\n")
    told = "other.yml:1:10: extends: a file cannot extend itself: top.yml extends other.yml extends top.yml"
    assert mistakes(top) == [told]


def test_a_mistake_in_a_base_is_told_where_it_stands(files: Files) -> None:
    top = files(top="extends: base.yml\nname: x\nracks: [{}]\n", base="fabric:\n  spines: many\n  tors: 2\n")
    assert mistakes(top) == ['base.yml:2:11: fabric.spines: expected a whole number, not "many"']


def test_paths_are_relative_to_the_file_that_they_stand_in(files: Files, tmp_path: Path) -> None:
    top = files(
        top="extends: sub/base.yml\nname: x\nracks: [{servers: {cs: 1}}]\nvars: {mine: mine.yml}\n"
        "roles: {cs: {network_config: $mine}}\n",
        sub__base="roles: {cs: {image: own, user_data: seed.yml}}\nimages: {own: {file: disk.img}}\n",
        mine="network: {version: 2}\n",
        sub__seed="#cloud-config\n",
    )
    spec = load(top)
    assert spec.images["own"].file == str(tmp_path / "sub" / "disk.img")
    assert read_seeds(spec) == {
        str(tmp_path / "sub" / "seed.yml"): "#cloud-config\n",
        str(tmp_path / "mine.yml"): "network: {version: 2}\n",
    }
    assert read_topology(top).servers[0].seed.user_data == "#cloud-config\n"


def test_a_variable_has_the_value_that_the_outermost_file_gives_it(files: Files) -> None:
    top = files(top="extends: base.yml\nname: x\nracks: [{}]\nvars: {spines: 8}\n", base=BASE)
    assert load(top).fabric.spines == 8


def test_what_is_set_on_the_command_line_wins(files: Files) -> None:
    top = files(top="extends: base.yml\nname: x\nracks: [{}]\nvars: {spines: 8}\n", base=BASE)
    spec = load(top, ["spines=3", "memory=2GiB"])
    assert (spec.fabric.spines, spec.roles["cs"].memory) == (3, 2 << 30)


def test_a_dollar_at_the_beginning_is_written_twice() -> None:
    with pytest.raises(InputError, match=r'name: must match .*, not "\$x"'):
        parse("name: $$x\nracks: [{}]\n", file="t.yml")


def variable(text: str) -> TopologySpec:
    return parse(f"name: x\nracks: [{{}}]\nvars: {{v: 1}}\nfabric: {{spines: {text}}}\n", file="t.yml")


@pytest.mark.parametrize("text", ["$w", "$", "$V", "$v-", "$v x", "$v.x", "${v}"])
def test_a_reference_is_the_name_of_a_variable_and_nothing_else(text: str) -> None:
    with pytest.raises(InputError, match=r"t\.yml:4:18: fabric\.spines: .*variable"):
        variable(f'"{text}"')


def test_a_wrong_value_of_the_command_line_is_told_with_the_option() -> None:
    with pytest.raises(InputError) as caught:
        parse("name: x\nracks: [{}]\nvars: {v: 1}\nfabric: {spines: $v}\n", file="t.yml", sets=["v=many"])
    told = 'fabric.spines: expected a whole number, not "many" (the variable "v", by --set v=many)'
    assert str(caught.value) == f"t.yml:4:18: {told}"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("spiens=3", '--set spiens=3: vars: unknown variable "spiens"; did you mean "spines"?'),
        ("unused=3", '--set unused=3: vars: nothing in the file refers to "$unused"'),
        ("spines", "--set spines: vars: expected name=value"),
        ("spines=", "--set spines=: vars: expected a value of YAML; the file is empty"),
        ("spines=[1]", "--set spines=[1]: vars: expected a plain value, not a list"),
        ("spines=~", "--set spines=~: vars: expected a plain value, not empty"),
        ("spines={", "--set spines={: vars: expected a value of YAML; not YAML: "),
    ],
)
def test_a_bad_option_is_named(option: str, told: str) -> None:
    text = "name: x\nracks: [{}]\nvars: {spines: 2, unused: 1}\nfabric: {spines: $spines}\n"
    with pytest.raises(InputError) as caught:
        parse(text, file="t.yml", sets=[option])
    assert str(caught.value).startswith(told)
    assert len(caught.value.problems) == 1


def test_an_option_given_twice_is_named() -> None:
    text = "name: x\nracks: [{}]\nvars: {spines: 2}\nfabric: {spines: $spines}\n"
    with pytest.raises(InputError, match=r"--set spines=4: vars: spines is set already, by --set spines=3"):
        parse(text, file="t.yml", sets=["spines=3", "spines=4"])


def test_a_variable_without_a_value_must_be_set() -> None:
    text = "name: x\nracks: [{}]\nvars: {spines: }\nfabric: {spines: $spines}\n"
    with pytest.raises(InputError, match=r'4:18: fabric\.spines: the variable "spines" has no value; .*--set spines='):
        parse(text, file="t.yml")
    assert parse(text, file="t.yml", sets=["spines=5"]).fabric.spines == 5


def test_a_rule_that_a_variable_breaks_is_told_at_the_reference() -> None:
    text = "name: x\nracks: [{}]\nvars: {link: 10.0.0.0/30}\npools: {link: $link}\n"
    with pytest.raises(InputError) as caught:
        parse(text, file="t.yml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.path) == (4, 15, "pools.link")
    assert problem.message.endswith('(the variable "link", t.yml:3:14)')
