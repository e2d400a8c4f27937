"""The plugin from outside: pytest runs in a process of its own, on a data centre in memory."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vdc.history import read
from vdc.shell import Completed, run

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"

CONFTEST = f"""
import os
from pathlib import Path
import pytest
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.pytest_plugin.hooks import Hooks
from vdc.pytest_plugin.session import Options, Session, started
from vdc.testing import FakeCluster, FakeDataCenter, Lie

class Deployer:
    def deploy(self, dc):
        return FakeCluster(dc)

class InMemory(Session):
    def open(self, steps):
        folder = self.run_directory / "state"
        folder.mkdir()
        lies = [Lie[name] for name in os.environ.get("LIES", "").split()]
        dc = FakeDataCenter(expand(load(Path({str(SMALL)!r}))), folder, lies=lies)
        dc.recorder.start()
        return dc

    def close(self, dc, steps):
        (self.run_directory / "closed").write_text("")

@pytest.fixture(scope="session")
def dc(pytestconfig):
    chosen = Options(
        topology=None,
        name="fake",
        keep=False,
        run_directory=Path("report"),
        releases=(),
        deployer="fake",
        started=started(pytestconfig),
    )
    hooks = Hooks(pytestconfig)
    hooks.session = session = InMemory(chosen, hooks, deployers={{"fake": Deployer}})
    pytestconfig.pluginmanager.register(hooks, "vdc-session")
    with session.data_center() as running:
        yield running
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def _pytest(project: Path, text: str, *arguments: str, **variables: str) -> Completed:
    (project / "test_it.py").write_text("import pytest\nfrom vdc.faults import RouterOff\n" + text)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={project}", *arguments]
    environment = {"COLUMNS": "100", "VDC_STATE_DIR": str(project), "VDC_CACHE_DIR": str(project)}
    # The run is somebody else's project, so it must not see the options of the run that we are in.
    return run(
        [*argv, str(project)],
        timeout=60,
        check=False,
        env={**environment, "PYTEST_ADDOPTS": "", **variables},
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


def test_what_explains_a_failure_under_a_fault_is_gathered_before_it_is_healed(project: Path) -> None:
    text = (
        "from vdc.faults import ServerCrash\n\n"
        "def test_bad(dc, inject):\n    with inject(ServerCrash('rack1-cs0')):\n        assert not 'this'\n"
    )
    done = _pytest(project, text)
    assert done.status == 1
    (folder,) = (project / "report" / "artifacts").iterdir()
    index = (folder / "index.txt").read_text()
    assert "journal-rack1-cs0.txt: not gathered: waited" in index
    assert "journal-rack1-cs0.txt: not gathered" in done.stdout


@pytest.mark.parametrize(
    "skip", ["@pytest.mark.skip\ndef test_it(dc):\n    pass\n", "def test_it(dc):\n    pytest.skip()\n"]
)
def test_a_run_that_skipped_every_scenario_does_not_succeed(project: Path, skip: str) -> None:
    done = _pytest(project, skip, "--dc=fake")
    assert done.status == 1, done.stdout
    assert "FAILED" in done.stdout


def test_a_run_that_only_lists_scenarios_proves_nothing_and_succeeds(project: Path) -> None:
    assert _pytest(project, "def test_it(dc):\n    pass\n", "--dc=fake", "--collect-only").status == 0


def test_scenarios_refuse_to_run_in_several_processes(project: Path) -> None:
    text = "def test_it(dc):\n    pass\n"
    done = _pytest(project, text, "--dc=fake", "-n2")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "run in one process: leave out -n" in done.stderr
    assert _pytest(project, text, "--dc=fake", "-n0").status == 0
    (project / "conftest.py").unlink()
    assert "run in one process: leave out -n" in _pytest(project, text, "-n1").stdout


def test_a_deployer_that_there_is_not_is_a_mistake(project: Path) -> None:
    (project / "conftest.py").unlink()
    done = _pytest(project, "def test_it(dc):\n    pass\n", "--dc=fake", "--deployer=consul")
    assert done.status == 1
    assert "no deployer 'consul'; there is etcd" in done.stdout


def test_the_deployer_that_is_named_deploys(project: Path) -> None:
    text = "def test_it(cluster):\n    assert len(cluster.members) == 3\n"
    done = _pytest(project, text)
    assert done.status == 0, done.stdout


def test_what_comes_up_and_down_around_a_scenario_is_not_its_duration(project: Path) -> None:
    text = (
        "from vdc.wait import ticks\n\n"
        "@pytest.fixture\ndef slow(dc):\n    list(ticks(0.6, duration=0.6))\n    yield\n"
        "    list(ticks(0.6, duration=0.6))\n\ndef test_it(dc, slow):\n    pass\n"
    )
    assert _pytest(project, text).status == 0
    (row,) = [line for line in (project / "report" / "summary.md").read_text().splitlines() if "✅ passed" in line]
    assert row.endswith("| 0.0 s |")


def test_the_total_counts_from_when_the_command_began(project: Path) -> None:
    text = "def test_it(dc):\n    pass\n"
    began = str(time.monotonic() - 1000)
    assert _pytest(project, text, VDC_TEST_STARTED=began).status == 0
    (row,) = [line for line in (project / "report" / "summary.md").read_text().splitlines() if "| total |" in line]
    assert re.fullmatch(r"\| total \| 10[0-5]\d\.\d s \| ≤ 900 s, missed \|", row)


def test_the_outage_of_each_event_is_told_and_reported(project: Path) -> None:
    text = (
        "from vdc.report import EventOutage\n\n"
        "def test_it(dc, request):\n"
        "    event = EventOutage(event='spine0 off', write=0.5, read=0.25)\n"
        "    request.node.user_properties += [('write_outage', 0.5), ('event_outage', event)]\n"
    )
    done = _pytest(project, text, "--junitxml=junit.xml")
    assert "spine0 off: write 0.50 s, read 0.25 s" in done.stdout
    assert "| it | spine0 off | 0.50 s | 0.25 s |" in (project / "report" / "summary.md").read_text()
    assert "spine0 off: write 0.50 s, read 0.25 s" in (project / "junit.xml").read_text()


def test_after_a_fault_that_did_not_heal_no_scenario_runs(project: Path) -> None:
    text = (
        "def test_first(dc, inject):\n    with inject(RouterOff('spine0')):\n        pass\n\n"
        "def test_second(dc):\n    open('ran', 'w')\n"
    )
    done = _pytest(project, text, LIES="NEVER_HEALS")
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
