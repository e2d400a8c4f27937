from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Vdc

GOLDEN = Path(__file__).parents[1] / "golden" / "imports"
MENU = GOLDEN / "menu" / "two-racks.yml"
FLAT = GOLDEN / "placemat" / "flat.yml"


def test_a_menu_is_printed_as_a_topology_and_what_it_lacks_is_told_beside(vdc: Vdc) -> None:
    said = vdc("import", "menu", str(MENU))
    assert said.status == 0
    assert "racks:\n  - {count: 2, servers: {boot: 1, cs: 1}}\n" in said.out
    assert f"{MENU}:47:8: Node cs: spec.tpm: has no equivalent yet: a TPM is not built yet\n" in said.err
    assert f"{MENU.with_name('ipam.json')}:9:19: IPAM: bmc-ipv4-pool: has no equivalent" in said.err


def test_what_is_written_is_valid(vdc: Vdc, tmp_path: Path) -> None:
    made = tmp_path / "made.yml"
    said = vdc("import", "menu", str(MENU), "-o", str(made), "--name", "mine", "--image", "custom=debian-12")
    assert (said.status, said.out) == (0, "")
    assert said.err.splitlines()[-1].startswith(f"{made}: written; ")
    assert vdc("validate", str(made)).status == 0
    assert "\nname: mine\n" in made.read_text(encoding="utf-8")


def test_paths_hold_from_where_the_topology_is(vdc: Vdc, tmp_path: Path) -> None:
    shutil.copytree(FLAT.parent, tmp_path / "placemat")
    made = tmp_path / "topologies" / "made.yml"
    made.parent.mkdir()
    said = vdc("import", "placemat", str(tmp_path / "placemat" / "flat.yml"), "-o", str(made))
    assert said.status == 0
    assert "user_data: ../placemat/seed1.yml\n" in made.read_text(encoding="utf-8")
    assert "ubuntu: {file: ../placemat/ubuntu.img}\n" in made.read_text(encoding="utf-8")
    assert vdc("validate", str(made)).status == 0


def test_several_files_are_one_data_centre(vdc: Vdc, tmp_path: Path) -> None:
    network, node = tmp_path / "network.yml", tmp_path / "node.yml"
    network.write_text("kind: Network\nname: lan\ntype: internal\n")
    node.write_text("kind: Node\nname: host\ncpu: 1\ninterfaces: [lan]\n")
    said = vdc("import", "placemat", str(network), str(node))
    assert said.status == 0
    assert "\nname: network\n" in said.out
    assert vdc("import", "placemat", str(node)).status == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["placemat", "nowhere.yml"], "nowhere.yml:1:1: file: no such file or directory"),
        (["menu", str(FLAT)], "there is no Inventory"),
        (["placemat", str(MENU)], 'unknown kind "Inventory"'),
        (["menu", str(MENU), "--image", "custom"], '--image: expected IMAGE=RELEASE, not "custom"'),
        (["menu", str(MENU), "--name", "Not A Name"], "Not A Name"),
        (["menu", str(MENU), "-o", "/nowhere/made.yml"], "cannot write /nowhere/made.yml: no such file or directory"),
    ],
    ids=["missing", "wrong-tool", "wrong-tool-2", "image", "name", "output"],
)
def test_bad_input_exits_2_and_writes_nothing(vdc: Vdc, arguments: list[str], message: str) -> None:
    said = vdc("import", *arguments)
    assert (said.status, said.out) == (2, "")
    assert message in said.err


@pytest.mark.parametrize("command", [[], ["placemat"], ["menu"]], ids=["import", "placemat", "menu"])
def test_help_says_what_becomes_of_what_has_no_equivalent(vdc: Vdc, command: list[str]) -> None:
    said = vdc("import", *command, "--help")
    assert said.status == 0
    assert ("has no equivalent" in said.out) == bool(command)
