"""A fabric without servers has scenarios of its own, and none that need a cluster; each may run several times."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fakes import SMALL
from .test_plugin import _bare_pytest, _pytest, project

__all__ = ["project"]

FABRIC = SMALL.with_name("fabric.yml")
BOTH = """
@pytest.mark.bare
def test_of_a_fabric(dc, dice):
    with open("drawn", "a") as file:
        file.write(f"{dice.random()}\\n")

def test_of_a_cluster(dc, cluster):
    pass
"""


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_without_servers_only_scenarios_run_that_need_none(project: Path) -> None:
    done = _bare_pytest(project, BOTH, f"--topology={FABRIC}", "--name=fake", "--run-dir=report")
    assert done.status == 0, done.stdout
    assert "1 left out: `cluster` needs servers; fabric has none" in done.stdout
    assert "1 passed of 1" in done.stdout


def test_with_servers_those_of_a_bare_fabric_are_left_out(project: Path) -> None:
    done = _pytest(project, BOTH)
    assert done.status == 0, done.stdout
    assert "1 left out: it is for a fabric without servers; small has some" in done.stdout


def test_those_of_a_graceful_fabric_run_where_routers_restart_so(project: Path, tmp_path: Path) -> None:
    text = "import pytest\n@pytest.mark.graceful\ndef test_it(dc):\n    pass\n"
    argv = ("--name=fake", "--run-dir=report")
    done = _bare_pytest(project, text, f"--topology={FABRIC}", *argv)
    assert "1 left out: routers must restart gracefully; those of fabric do not" in done.stdout
    graceful = tmp_path / "graceful.yml"
    graceful.write_text(FABRIC.read_text().replace("graceful: false", "graceful: true"))
    done = _bare_pytest(project, text, f"--topology={graceful}", *argv)
    assert "1 passed of 1" in done.stdout, done.stdout


NIGHTLY = "import pytest\n@pytest.mark.nightly\ndef test_long(dc):\n    pass\ndef test_short(dc):\n    pass\n"


def test_those_of_the_night_run_only_where_that_is_asked_for_or_somebody_has_the_data_centre(project: Path) -> None:
    by_day = _pytest(project, NIGHTLY)
    assert "1 left out: --nightly runs it" in by_day.stdout
    assert "1 passed of 1" in by_day.stdout
    assert "2 passed of 2" in _pytest(project, NIGHTLY, "--nightly").stdout
    assert "2 passed of 2" in _bare_pytest(project, NIGHTLY, "--dc=fake", "--run-dir=report").stdout


def test_scenarios_run_as_often_as_is_asked_for_each_with_its_own_dice(project: Path) -> None:
    text = BOTH + "\n@pytest.mark.parametrize('kind', 'ab')\ndef test_kinds(dc, kind):\n    pass\n"
    text += "\ndef test_without():\n    pass\n"
    argv = (f"--topology={FABRIC}", "--name=fake", "--run-dir=report", "--repeat=3", "--seed=1", "-v")
    done = _bare_pytest(project, text, *argv)
    assert done.status == 0, done.stdout
    assert "9 passed of 9" in done.stdout
    assert "test_of_a_fabric[turn3] PASSED" in done.stdout
    assert "10 passed" in done.stdout, "what has no data centre runs once"
    assert len(set((project / "drawn").read_text().split())) == 3
