from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Golden
from tests.imports.conftest import GOLDEN, menu, shown
from vdc.errors import InputError
from vdc.model.load import parse

FILES = GOLDEN / "menu"
CASES = sorted(path.stem for path in FILES.glob("*.yml"))
BROKEN = sorted(path.stem for path in (GOLDEN / "errors" / "menu").glob("*.yml"))


@pytest.mark.parametrize("case", CASES)
def test_a_menu_becomes_a_topology_that_says_what_it_lacks(case: str, golden: Golden) -> None:
    golden(FILES / f"{case}.txt", shown(menu(FILES / f"{case}.yml")))


@pytest.mark.parametrize("case", BROKEN)
def test_every_mistake_is_told_with_its_place(case: str, golden: Golden) -> None:
    folder = GOLDEN / "errors" / "menu"
    with pytest.raises(InputError) as caught:
        menu(folder / f"{case}.yml")
    golden(folder / f"{case}.txt", f"{caught.value}\n")


def test_a_boot_server_with_a_release_announces_its_bastion_address() -> None:
    imported = menu(FILES / "two-racks.yml", releases={"custom": "debian-12"})
    spec = parse(imported.text, file="t.yml")
    assert spec.roles["boot"].announces == ("bastion",)
    assert spec.roles["boot"].image is None
    assert not spec.images


def test_equal_racks_that_follow_each_other_are_one_entry() -> None:
    spec = parse(menu(FILES / "full.yml").text, file="t.yml")
    assert [(rack.count, dict(rack.servers)) for rack in spec.racks] == [
        (1, {"boot": 1, "cs": 2, "ss": 1}),
        (2, {"boot": 1, "cs": 2}),
        (1, {"boot": 1}),
    ]


@pytest.mark.parametrize("racks", [1, 2, 10, 40])
def test_prefixes_are_big_enough_for_any_number_of_racks(racks: int, tmp_path: Path) -> None:
    text = (FILES / "two-racks.yml").read_text(encoding="utf-8").replace("  - cs: 1\n", "", 1)
    file = tmp_path / "menu.yml"
    file.write_text(text.replace("  - cs: 1\n", "  - cs: 20\n" * racks).replace("spine: 2", "spine: 4"))
    (tmp_path / "ipam.json").write_text((FILES / "ipam.json").read_text().replace("10.69.0.0/20", "10.68.0.0/14"))
    spec = parse(menu(file).text, file="t.yml")
    assert len(spec.rack_servers()) == racks
