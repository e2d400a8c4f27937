from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.model.load import read_topology
from vdc.model.reference import reference_text

README = Path(__file__).parents[2] / "topologies" / "README.md"
_KEYS = re.compile(r"(?<=<!-- keys -->\n).*(?=<!-- end of keys -->)", re.DOTALL)
_EXAMPLE = re.compile(r"```yaml\n# (\S+\.yml)\n(.*?)```", re.DOTALL)


def examples() -> Mapping[str, str]:
    """The files in the text, by name."""
    return dict(_EXAMPLE.findall(README.read_text(encoding="utf-8")))


def test_the_readme_names_every_key_with_default_and_meaning(golden: Golden) -> None:
    text = README.read_text(encoding="utf-8")
    golden(README, _KEYS.sub(lambda _: f"\n{reference_text()}\n", text))


@pytest.mark.parametrize("name", ["two-racks.yml", "uneven.yml", "firewall.yml", "nightly.yml"])
def test_the_examples_of_the_readme_are_topologies(name: str, tmp_path: Path) -> None:
    for file, text in examples().items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_topology(tmp_path / name).name == name.removesuffix(".yml")


def test_no_example_is_forgotten() -> None:
    assert set(examples()) == {"two-racks.yml", "uneven.yml", "firewall.yml", "nightly.yml", "base.yml"}
