"""Several processes, each with a data centre of its own: one report, and nothing left of a process that dies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from vdc.datacenter import lifecycle
from vdc.errors import HostError
from vdc.host import ledger
from vdc.pytest_plugin import parallel

from .fakes import SMALL
from .test_plugin import CONFTEST, _calls, _pytest

MODULE = """
import pytest
from vdc.report import EventOutage

pytestmark = pytest.mark.standard

def test_good(cluster, request):
    event = EventOutage(event='spine0 off', write=0.5, read=None)
    request.node.user_properties += [('write_outage', 0.5), ('event_outage', event)]

def test_good_too(dc):
    pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_a.py").write_text(MODULE)
    (tmp_path / "test_b.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_process_has_its_data_centre_and_the_report_is_one(project: Path) -> None:
    done = _pytest(project, "", "-n2", "-v", "--junitxml=junit.xml")
    assert done.status == 0, done.stdout
    assert done.stdout.count("PASSED: 4 passed of 4") == 1
    assert done.stdout.count("spine0 off: write 0.50 s") == 2
    summary = (project / "report" / "summary.md").read_text()
    assert summary.count("| ✅ passed | standard |") == 4
    assert summary.count("| good | spine0 off | 0.50 s | - |") == 2
    assert "first scenario" in summary
    assert "]   wait until the cluster serves: done" in done.stderr
    assert {path.name for path in (project / "report").glob("*.jsonl")} == {"gw0-history.jsonl", "gw1-history.jsonl"}
    properties = [each.get("value") for each in ET.parse(project / "junit.xml").getroot().iter("property")]
    assert properties.count("spine0 off: write 0.50 s") == 2
    # one built the deployed state, and the other one waited and restored it
    calls = _calls(project)
    assert sorted(call.split()[0] for call in calls) == ["down", "down", "fork", "up", "write"]
    assert {call.split()[1] for call in calls} == {"fake-gw0", "fake-gw1"}


def test_modules_of_the_suite_standard_share_the_data_centre_of_their_process(project: Path) -> None:
    done = _pytest(project, MODULE, "-n1")
    assert "PASSED: 6 passed of 6" in done.stdout
    assert _calls(project) == ["up fake-gw0", "write fake-gw0", "down fake-gw0"]


def test_a_failure_in_any_process_fails_the_run_and_is_explained(project: Path) -> None:
    done = _pytest(project, "def test_bad(dc):\n    assert not 'this'\n", "-n2")
    assert done.status == 1
    assert "FAILED: 4 passed, 1 failed of 5" in done.stdout
    assert [path.name for path in (project / "report" / "artifacts").iterdir()] == ["test_it.py__test_bad"]


def test_a_process_that_dies_leaves_nothing_and_its_scenario_is_an_error(project: Path) -> None:
    text = (
        "import os\n\npytestmark = pytest.mark.fault\n\n"
        "def test_deadly(dc):\n    os._exit(1)\n\ndef test_later(dc):\n    pass\n"
    )
    done = _pytest(project, text, "-n2")
    assert done.status == 1
    assert "FAILED: 5 passed, 1 error of 6" in done.stdout
    assert "| 💥 error | fault | deadly |" in (project / "report" / "summary.md").read_text()
    assert " died, and fake-gw" in done.stdout
    assert list((project / "state").iterdir()) == []


def test_a_run_that_was_cut_short_tells_what_it_did_not_reach(project: Path) -> None:
    rest = "".join(f"\ndef test_{number}(dc):\n    pass\n" for number in range(3))
    done = _pytest(project, f"def test_bad(dc):\n    assert not 'this'\n{rest}", "-n1", "-x")
    assert done.status != 0
    assert "not run" in (project / "report" / "summary.md").read_text()


def _config(*files: Path) -> pytest.Config:
    wanted = {"--topology": SMALL, "--deployer": "etcd", "--name": "fake"}
    config = SimpleNamespace(getoption=wanted.get, stash=pytest.Stash(), args=[f"{file}::test_x" for file in files])
    return cast(pytest.Config, config)


@pytest.mark.parametrize(("fit", "workers"), [(0, 1), (2, 2), (50, 3)])
def test_as_many_processes_as_data_centres_fit_but_no_more_than_files(
    project: Path, monkeypatch: pytest.MonkeyPatch, fit: int, workers: int
) -> None:
    monkeypatch.setattr(lifecycle, "prepare", lambda *_: None)
    monkeypatch.setattr(ledger, "fitting", lambda *_: fit)
    assert parallel.fitting(_config(*(project / name for name in "abc"))) == workers


def test_a_host_that_holds_none_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(*_: object) -> None:
        raise HostError("too little memory")

    monkeypatch.setattr(lifecycle, "prepare", prepare)
    with pytest.raises(pytest.UsageError, match="too little memory"):
        parallel.fitting(_config())
