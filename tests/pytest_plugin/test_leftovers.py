"""What a scenario leaves of a fault: told by name, at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdc.faults import LinkDisturbed
from vdc.faults.catalogue import to_record
from vdc.model.disturbance import Disturbance

from .test_plugin import _bare_pytest, _pytest, project

__all__ = ["project"]

FORGETS = """
from vdc.faults import LinkDisturbed
from vdc.model.disturbance import Disturbance

def test_forgets(dc):
    LinkDisturbed("spine0", "rack0-tor0", outgoing=Disturbance(delay=0.1)).inject(dc)
"""
LEFT = "faults have left on small: spine0 rack0-tor0: disturbed"


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_a_scenario_that_leaves_a_fault_is_an_error_that_names_it(project: Path) -> None:
    done = _pytest(project, FORGETS)
    assert done.status == 1, done.stdout
    assert LEFT in done.stdout
    assert "1 error" in done.stdout


def test_one_that_heals_leaves_nothing(project: Path) -> None:
    text = FORGETS.replace("def test_forgets(dc)", "def test_heals(dc, inject)").replace(
        'LinkDisturbed("spine0"', 'with inject(LinkDisturbed("spine0"'
    )
    done = _pytest(project, text.replace(".inject(dc)", "):\n        pass"))
    assert done.status == 0, done.stdout


def test_what_a_dead_harness_left_is_healed_before_the_first_scenario(project: Path) -> None:
    fault = LinkDisturbed("spine0", "rack0-tor0", outgoing=Disturbance(delay=0.1))
    file = project / "state" / "fake" / "leases" / "0123.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"name": fault.name, "fault": to_record(fault), "holder": 1, "path": []}))
    text = "from vdc.history import read\n\ndef test_it(dc):\n    told = [e.data for e in read(dc.recorder.path)]\n"
    text += "    assert [e['why'] for e in told if 'why' in e] == ['nobody holds it']\n"
    done = _bare_pytest(project, text, "--dc=fake", "--run-dir=report")
    assert done.status == 0, done.stdout
    assert not file.exists()
