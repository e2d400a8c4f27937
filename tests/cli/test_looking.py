"""`vdc list`, `extend` and `resume`, on run directories in which no data centre is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vdc.cli.render import stays_text
from vdc.datacenter.stay import begin, end
from vdc.host.claims import PLAN

from .conftest import Vdc


@pytest.fixture
def directory(short_path: Path) -> Path:
    directory = short_path / "state" / "mine"
    directory.mkdir(parents=True)
    (directory / PLAN).touch()
    return directory


def test_what_there_is_and_how_long_it_stays_is_listed(vdc: Vdc, directory: Path) -> None:
    assert "mine         not up  no end" in vdc("list", uid=0).out
    begin(directory, "hold", 1800, why="test_it.py::test_bad: assert not 'this'", goes=False)
    said = vdc("list", uid=0).out
    assert re.search(r"held until \d\d:\d\d:\d\d \(30 min\): test_it.py::test_bad", said)
    end(directory, "hold")


def test_without_data_centres_the_list_says_so(vdc: Vdc, directory: Path) -> None:
    (directory / PLAN).unlink()
    assert "no data centre is there" in vdc("list", uid=0).out
    assert stays_text([]) == ""


def test_it_is_made_longer(vdc: Vdc, directory: Path) -> None:
    begin(directory, "ttl", 600, why="vdc up --ttl 10m", goes=False)
    assert re.search(r"mine stays until \S+, for 40\.0 min", vdc("extend", "mine", "30m", uid=0).out)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("extend", "mine", "30m"), "mine has no end to put off"),
        (("extend", "mine", "long"), "'long' is no duration such as 30m"),
        (("resume", "mine"), "no run holds mine"),
        (("up", "x.yml", "--ttl", "long"), "'long' is no duration such as 30m"),
        (("test", "x.yml", "--hold-on-failure", "long"), "'long' is no duration such as 30m"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_bad_input(vdc: Vdc, directory: Path, argv: tuple[str, ...], why: str) -> None:
    assert directory.is_dir()
    said = vdc(*argv, uid=0)
    assert said.status == 2
    assert why in said.err


def test_a_run_is_resumed(vdc: Vdc, directory: Path) -> None:
    begin(directory, "hold", 600, why="before test_it.py::test_it", goes=False)
    assert "the run goes on; it was held since before test_it.py::test_it" in vdc("resume", "mine", uid=0).out
