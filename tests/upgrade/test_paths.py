from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.conftest import Golden
from vdc.errors import InputError
from vdc.model.releases import catalogue
from vdc.upgrade import paths
from vdc.upgrade.path import Allowed, Change, Hook, Method, Variant
from vdc.upgrade.paths import FILE, read_paths, schema
from vdc.upgrade.route import allowed
from vdc.upgrade.rules import versions_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "upgrade"
ROWS = ROOT / FILE

OWN = """\
paths:
  mine:
    about: what our own tool does
    from: debian-12
    to: debian-13
    method: reimage
    cluster: script
    at-once: 2
    budgets: {flows: 2s, etcd: 500ms}
    variants: [plain, rollback-all]
    besides:
      firmware: {from: SeaBIOS, to: OVMF}
    allowed:
      - {kind: sysctl, pattern: "net.ipv?.*", reason: the kernel has more of them}
    upgrade:
      etcd: {run: [./up.sh, etcd, ../x], back: [./down.sh], check: ["true"]}
      firmware: {run: [flash], back: [flash, old], check: [flashed], once: true, timeout: 5s}
"""


@pytest.fixture
def fresh() -> Iterator[None]:
    """Paths are read anew, before and after."""
    paths.paths.cache_clear()
    yield
    paths.paths.cache_clear()


def tried_by(file: Path) -> set[tuple[str, str]]:
    """Return the paths and variants that the scenarios of a file are marked with, without running it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    marks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "upgrades"
    ]
    texts = [[names.get(arg.id) if isinstance(arg, ast.Name) else arg.value for arg in mark.args] for mark in marks]  # type: ignore[attr-defined]
    return {(str(name), str(variant)) for name, variant in texts}


def test_the_committed_rows_are_right() -> None:
    found = read_paths(ROWS, catalogue())
    versions = {name: versions_of(each) for name, each in catalogue().items()}
    for path in found.values():
        assert (ROOT / path.topology).is_file(), path.name
        assert path.scenario is None or (ROOT / path.scenario).is_file(), path.name
        assert path.budgets, path.name
        assert path.origin == path.target or allowed(versions[path.origin], versions[path.target]), path.name
    assert {path.method for path in found.values()} == set(Method)


def test_a_scenario_tries_what_a_row_says_and_a_row_names_a_scenario_that_tries_it() -> None:
    found = read_paths(ROWS, catalogue())
    by_file = {str(file.relative_to(ROOT)): tried_by(file) for file in sorted(ROWS.parent.glob("test_*.py"))}
    marked = set().union(*by_file.values())
    assert marked
    for name, variant in marked:
        assert name in found, f"no row {name}"
        assert variant in found[name].variants, f"{name} has no variant {variant}"
        assert found[name].scenario is not None, f"{name} is tried, and names no scenario"
    for path in found.values():
        if path.scenario is not None:
            untried = {str(variant) for variant in path.variants} - {each for name, each in marked if name == path.name}
            assert not untried, f"{path.name} has {untried}, which no scenario tries"
            assert path.name in {name for name, _ in by_file[path.scenario]}, (
                f"{path.scenario} does not try {path.name}"
            )


def test_the_committed_schema_is_the_one_and_fits_the_rows(golden: Golden) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    golden(ROWS.parent / "schema.json", json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
    assert ROWS.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.Draft202012Validator(schema()).validate(YAML(typ="safe", pure=True).load(ROWS))


def test_all_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "paths.yml"
    file.write_text(OWN)
    (path,) = read_paths(file, catalogue()).values()
    assert (path.name, path.at_once, dict(path.budgets)) == ("mine", 2, {"flows": 2.0, "etcd": 0.5})
    assert path.variants == (Variant.PLAIN, Variant.ROLLBACK_ALL)
    assert path.changes[-2:] == (
        Change(component="etcd", old="3.4", new="3.5"),
        Change(component="firmware", old="SeaBIOS", new="OVMF"),
    )
    up, down, aside = (str(tmp_path / name) for name in ("up.sh", "down.sh", "../x"))
    assert path.hooks == (
        Hook(component="etcd", run=(up, "etcd", aside), back=(down,), check=("true",)),
        Hook(component="firmware", run=("flash",), back=("flash", "old"), check=("flashed",), once=True, seconds=5.0),
    )


@pytest.mark.parametrize(
    ("kind", "name", "covered"),
    [("sysctl", "net.ipv4.tcp_rmem", True), ("sysctl", "net.core.x", False), ("route", "net.ipv4.x", False)],
)
def test_an_allowance_is_for_a_kind_and_a_pattern(kind: str, name: str, covered: bool) -> None:
    assert Allowed(kind="sysctl", pattern="net.ipv?.*", reason="so").covers(kind, name) is covered


@pytest.mark.parametrize("case", ["shapes", "meanings"])
def test_every_mistake_is_told_at_once_with_its_place(
    case: str, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    releases = {name: each for name, each in catalogue().items() if name.startswith("debian-1") and len(name) == 9}
    with pytest.raises(InputError) as caught:
        read_paths((GOLDEN / f"{case}.yml").relative_to(ROOT), releases)
    golden(GOLDEN / f"{case}.txt", f"{caught.value}\n")


@pytest.mark.usefixtures("fresh")
def test_rows_of_the_users_own_come_to_those_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "paths.yml"
    file.write_text(OWN)
    monkeypatch.setenv("VDC_UPGRADE_PATHS", str(file))
    assert {"mine", "os-debian-13"} <= set(paths.paths())
    assert paths.path("mine").cluster == "script"
    with pytest.raises(InputError, match='unknown path "os-debian-1"; did you mean "os-debian-13"'):
        paths.path("os-debian-1")


@pytest.mark.usefixtures("fresh")
def test_where_there_are_no_rows_the_way_to_some_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "FILE", Path("not", "there.yml"))
    monkeypatch.delenv("VDC_UPGRADE_PATHS", raising=False)
    with pytest.raises(InputError, match=r"no paths of upgrades here[^$]*VDC_UPGRADE_PATHS"):
        paths.paths()
