"""The plugin from outside: pytest runs in a process of its own, on a data centre in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vdc.history import read
from vdc.shell import Completed, run

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"

CONFTEST = f"""
from pathlib import Path
import pytest
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.pytest_plugin.hooks import Hooks
from vdc.pytest_plugin.session import Options, Session
from vdc.testing import FakeCluster, FakeDataCenter, Lie

class InMemory(Session):
    def open(self, steps):
        folder = self.run_directory / "state"
        folder.mkdir()
        dc = FakeDataCenter(expand(load(Path({str(SMALL)!r}))), folder, lies=[Lie.NEVER_HEALS])
        dc.recorder.start()
        return dc

    def close(self, dc, steps):
        (self.run_directory / "closed").write_text("")

@pytest.fixture(scope="session")
def dc(pytestconfig):
    chosen = Options(topology=None, name="fake", keep=False, run_directory=Path("report"), releases=())
    hooks = Hooks(pytestconfig)
    hooks.session = session = InMemory(chosen, hooks)
    pytestconfig.pluginmanager.register(hooks, "vdc-session")
    with session.data_center() as running:
        yield running
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def _pytest(project: Path, text: str, *arguments: str) -> Completed:
    (project / "test_it.py").write_text("import pytest\nfrom vdc.faults import RouterOff\n" + text)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={project}", *arguments]
    environment = {"COLUMNS": "100", "VDC_STATE_DIR": str(project), "VDC_CACHE_DIR": str(project)}
    # The run is somebody else's project, so it must not see the options of the run that we are in.
    return run(
        [*argv, str(project)],
        timeout=60,
        check=False,
        env={**environment, "PYTEST_ADDOPTS": ""},
    )


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_a_run_without_its_fixtures_is_left_alone(project: Path) -> None:
    done = _pytest(project, "def test_nothing():\n    pass\n")
    assert done.status == 0, done.stdout
    assert "vdc" not in done.stdout.split("collected")[1]
    assert not (project / "report").exists()


def test_without_a_data_centre_scenarios_say_what_is_missing(project: Path) -> None:
    (project / "conftest.py").unlink()
    done = _pytest(project, "def test_it(dc):\n    pass\n")
    assert done.status == 1
    assert "--topology FILE brings one up" in done.stdout


def test_a_passing_scenario_ends_with_the_verdict_and_its_outage(project: Path) -> None:
    text = "def test_good(dc, record_property):\n    record_property('write_outage', 1.25)\n"
    done = _pytest(project, text, "--junitxml=junit.xml")
    assert done.status == 0, done.stdout
    assert "write outage 1.25 s" in done.stdout
    assert "PASSED: 1 passed of 1" in done.stdout
    summary = (project / "report" / "summary.md").read_text()
    assert "PASSED" in summary.splitlines()[0]
    assert "1.25 s" in summary
    properties = ET.parse(project / "junit.xml").getroot().iter("property")
    assert [(each.get("name"), each.get("value")) for each in properties] == [("write_outage", "1.25")]


def test_a_failing_scenario_leaves_its_artifacts_and_a_failed_verdict(project: Path) -> None:
    done = _pytest(project, "def test_bad(dc):\n    dc.servers['rack1-cs0'].power_off()\n    assert not 'this'\n")
    assert done.status == 1
    assert "FAILED: 1 failed of 1" in done.stdout
    (folder,) = (project / "report" / "artifacts").iterdir()
    index = (folder / "index.txt").read_text()
    assert "bird-spine0.txt: " in index
    assert "journal-rack0-cs0.txt: 0 bytes" in index
    assert "journal-rack1-cs0.txt: not gathered: rack1-cs0 is off" in index


def test_after_a_fault_that_did_not_heal_no_scenario_runs(project: Path) -> None:
    text = (
        "def test_first(dc, inject):\n    with inject(RouterOff('spine0')):\n        pass\n\n"
        "def test_second(dc):\n    open('ran', 'w')\n"
    )
    done = _pytest(project, text)
    assert done.status == 1
    assert not (project / "ran").exists()
    assert "dirty since test_it.py::test_first: spine0 off was not healed" in done.stdout
    assert "1 failed, 1 error of 2" in done.stdout


def test_a_scenario_that_was_not_reached_is_an_error(project: Path) -> None:
    done = _pytest(project, "def test_a(dc):\n    assert 0\n\ndef test_b(dc):\n    pass\n", "-x")
    assert "1 failed, 1 error of 2" in done.stdout
    assert "not run" in (project / "report" / "summary.md").read_text()


def test_suites_run_in_their_order(project: Path) -> None:
    names = ("upgrade", "fault", "standard", "reboot")
    text = "".join(f"@pytest.mark.{name}\ndef test_{name}(dc):\n    pass\n\n" for name in names)
    done = _pytest(project, text, "-v", "--strict-markers")
    assert done.status == 0, done.stdout
    places = [done.stdout.index(f"::test_{name} ") for name in ("standard", "reboot", "fault", "upgrade")]
    assert places == sorted(places)


def test_the_history_of_the_run_outlives_the_data_centre(project: Path) -> None:
    _pytest(project, "def test_it(dc):\n    with dc.steps.step('a step'):\n        pass\n")
    report = project / "report"
    names = [event.data["name"] for event in read(report / "history.jsonl") if event.kind == "step"]
    assert names == ["a step", "a step"]
    assert (report / "closed").exists()


def test_the_plugin_imports_nothing_heavy() -> None:
    heavy = "{'httpx', 'libvirt', 'pyroute2', 'cryptography', 'rich', 'pydantic', 'networkx'}"
    code = f"import sys, vdc.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    assert run([sys.executable, "-c", code], timeout=30).stdout.strip() == "[]"
