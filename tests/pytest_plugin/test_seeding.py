"""`--seed`: told, recorded, and the same draws again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vdc.history import read
from vdc.report.stored import load

from .test_plugin import _bare_pytest, _pytest, project

__all__ = ["project"]

DRAWS = """
import json
from pathlib import Path

@pytest.mark.parametrize("case", range(3))
def test_draws(dc, pick, dice, case):
    drawn = [*pick("one(tier(spine))"), *pick("any(all)"), *pick("minority", among="servers"), dice.random()]
    with Path("drawn").open("a") as file:
        file.write(json.dumps([case, drawn]) + "\\n")

def test_who_leads(dc, cluster, pick):
    assert pick("leader") == ("rack0-cs0",)
"""


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def drawn(project: Path) -> list[str]:
    found = (project / "drawn").read_text().splitlines()
    (project / "drawn").unlink()
    return sorted(found)


def test_the_same_seed_draws_the_same_in_any_order_and_in_any_process(project: Path) -> None:
    first = _pytest(project, DRAWS, "--seed=7")
    assert first.status == 0, first.stdout
    assert "vdc: --seed 7" in first.stdout
    draws = drawn(project)
    assert len(draws) == 3
    assert len({json.dumps(json.loads(each)[1]) for each in draws}) == 3, "each scenario has dice of its own"
    for how in (("--seed=7", "-k", "draws"), ("--seed=7", "-n", "1")):
        done = _pytest(project, "", *how)
        assert done.status == 0, done.stdout
        assert drawn(project) == draws
    assert _pytest(project, "", "--seed=8").status == 0
    assert drawn(project) != draws


def test_a_seed_that_nobody_named_is_told_everywhere_and_repeats_its_draws(project: Path) -> None:
    done = _pytest(project, DRAWS, "--junitxml=junit.xml")
    (seed,) = re.findall(r"^vdc: --seed (\d+)$", done.stdout, re.MULTILINE)
    assert load(project / "report").seed == int(seed)
    assert f"`--seed {seed}`" in (project / "report" / "summary.md").read_text()
    told = {
        (each.get("name"), each.get("value")) for each in ET.parse(project / "junit.xml").getroot().iter("property")
    }
    assert ("seed", seed) in told
    notes = [event.data for event in read(project / "report" / "history.jsonl") if event.kind == "note"]
    assert [each["seed"] for each in notes if each.get("name") == "seed"] == [int(seed)]
    assert sum(each.get("name") == "drawn" for each in notes) == 10
    draws = drawn(project)
    assert _pytest(project, "", f"--seed={seed}").status == 0
    assert drawn(project) == draws


def test_without_a_data_centre_no_seed_is_told(project: Path) -> None:
    done = _bare_pytest(project, "def test_nothing():\n    pass\n")
    assert "seed" not in done.stdout


def test_a_selector_that_means_nothing_fails_the_scenario(project: Path) -> None:
    done = _pytest(project, "def test_bad(dc, pick):\n    pick('one(tier(moon))')\n")
    assert done.status == 1
    assert "there is no such device" in done.stdout
