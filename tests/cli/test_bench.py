from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cli.bench import instance_name
from vdc.cli.topology import offline_plan
from vdc.settings import Settings

from .conftest import TOPOLOGIES


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("small.yml", "bench-small"),
        ("My_Data Centre.yml", "bench-my-data-centre"),
        ("9.yml", "bench-9"),
        ("a-very-long-name-of-a-file.yml", "bench-a-very-long-na"),
        ("a-very-long-n-ame.yml", "bench-a-very-long-n"),
        ("_.yml", "bench"),
    ],
)
def test_any_file_can_be_measured_whatever_it_is_called(file: str, name: str) -> None:
    assert instance_name(Path(file)) == name
    assert offline_plan(TOPOLOGIES / "small.yml", name, Settings()).instance == name
