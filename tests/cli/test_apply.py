from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import TOPOLOGIES, Vdc

SMALL = str(TOPOLOGIES / "small.yml")


def test_apply_needs_root(vdc: Vdc) -> None:
    said = vdc("apply", SMALL)
    assert said.status == 77
    assert "`vdc apply` needs root" in said.err


@pytest.mark.parametrize(("options", "name"), [((), "small"), (("--name", "mine"), "mine")])
def test_apply_to_a_data_centre_that_is_not_there_exits_2(vdc: Vdc, options: tuple[str, ...], name: str) -> None:
    said = vdc("apply", SMALL, *options, uid=0)
    assert (said.status, said.out) == (2, "")
    assert f"no data centre '{name}'" in said.err


def test_apply_of_a_bad_file_prints_its_mistakes_before_anything_else(vdc: Vdc, tmp_path: Path) -> None:
    file = tmp_path / "bad.yml"
    file.write_text("name: bad\nracks: [{count: two}]\n")
    said = vdc("apply", str(file), "--name", "mine", uid=0)
    assert said.status == 2
    assert said.err.startswith(f"{file}:2:17: racks[0].count: ")
