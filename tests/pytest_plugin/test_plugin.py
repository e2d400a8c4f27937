"""The plugin from outside: pytest runs in a process of its own, on a data centre in memory."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vdc.history import read
from vdc.report.stored import REPORT, load
from vdc.shell import Completed, run

from .fakes import DAMAGED, KUBERNETES, SMALL

HERE = Path(__file__).parent

CONFTEST = f"""
import os
import sys
from functools import partial
from pathlib import Path
import pytest
from vdc.cluster import deployed
from vdc.pytest_plugin import options, selection, session
from vdc.testing import Lie

sys.path.insert(0, {str(HERE)!r})
from fakes import Deployer, KubernetesDeployer, Life

lies = [Lie[name] for name in os.environ.get("LIES", "").split()]
life = Life(Path("state").absolute(), Path("calls").absolute(), lies=lies)
deployed.place = lambda *_: Path("deployed/0123").absolute()
options.DEPLOYERS = selection.DEPLOYERS = deployers = {{"etcd": Deployer, "kubernetes": KubernetesDeployer}}
session.Session = partial(session.Session, deployers=deployers, life=life, fork=life.fork, store=life)

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    controller = config.pluginmanager.get_plugin("vdc-controller")
    if controller is not None:
        controller.life = life
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def _pytest(project: Path, text: str, *arguments: str, **variables: str) -> Completed:
    """Run pytest on a test file on a data centre in memory."""
    return _bare_pytest(
        project, text, f"--topology={SMALL}", "--name=fake", "--run-dir=report", *arguments, **variables
    )


def _bare_pytest(project: Path, text: str, *arguments: str, **variables: str) -> Completed:
    if text:
        (project / "test_it.py").write_text("import pytest\nfrom vdc.faults import RouterOff\n" + text)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={project}", *arguments]
    environment = {
        "COLUMNS": "100",
        "VDC_STATE_DIR": str(project / "state"),
        "VDC_CACHE_DIR": str(project),
    }
    # The run is somebody else's project, so it must not see the options of the run that we are in.
    return run(
        [*argv, str(project)],
        timeout=60,
        check=False,
        env={**environment, "PYTEST_ADDOPTS": "", **variables},
    )


def _calls(project: Path) -> list[str]:
    return (project / "calls").read_text().splitlines()


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_a_run_without_its_fixtures_is_left_alone(project: Path) -> None:
    done = _bare_pytest(project, "def test_nothing():\n    pass\n")
    assert done.status == 0, done.stdout
    assert "vdc" not in done.stdout.split("collected")[1]
    assert not (project / "report").exists()


def test_without_a_data_centre_scenarios_say_what_is_missing(project: Path) -> None:
    done = _bare_pytest(project, "def test_it(dc):\n    pass\n")
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
    told = [(each.get("name"), each.get("value")) for each in properties]
    assert {("write_outage", "1.25"), ("verdict", "passed"), ("verdict", "PASSED: 1 passed of 1")} <= set(told)


def test_a_run_leaves_a_page_and_what_it_can_be_made_of_again(project: Path) -> None:
    text = "def test_good(dc):\n    dc.recorder.record('note', 'spine0', text='a crack in the floor')\n"
    done = _pytest(project, text, "--junitxml=junit.xml")
    assert "report/report.html" in done.stdout
    run = load(project / "report")
    assert (run.topology, [one.outcome for one in run.scenarios]) == ("small", ["passed"])
    page = (project / "report" / REPORT).read_text()
    assert "a crack in the floor" in page
    assert "rack2-tor1" in page
    properties = {each.get("name") for each in ET.parse(project / "junit.xml").getroot().iter("property")}
    assert {"verdict", "topology"} <= properties


def test_a_page_that_cannot_be_written_costs_no_verdict(project: Path) -> None:
    (project / "report" / REPORT).mkdir(parents=True)
    done = _pytest(project, "def test_good(dc):\n    pass\n")
    assert done.status == 0, done.stdout
    assert "the report could not be written: IsADirectoryError" in done.stdout
    assert "PASSED: 1 passed of 1" in done.stdout


def test_on_a_machine_of_github_the_line_that_failed_is_annotated(project: Path) -> None:
    text = "def test_bad(dc):\n    assert dc.name == 'x', '100 %\\nof it'\n"
    done = _pytest(project, text, GITHUB_ACTIONS="true")
    assert "::error file=test_it.py,line=4,title=bad%3A failed::AssertionError: 100 %25%0A" in done.stdout
    assert "::error" not in _pytest(project, text, GITHUB_ACTIONS="").stdout


def test_a_failing_scenario_leaves_its_evidence_and_a_failed_verdict(project: Path) -> None:
    text = "def test_bad(dc):\n    dc.servers['rack1-cs0'].power_off()\n    assert not 'this'\n"
    done = _pytest(project, text, "--junitxml=junit.xml")
    assert done.status == 1
    assert "FAILED: 1 failed of 1" in done.stdout
    assert "  AssertionError: assert not 'this'\n" in done.stdout.partition("= FAILURES =")[0]
    (folder,) = (project / "report" / "artifacts").iterdir()
    assert "assert not 'this'" in (folder / "failure.txt").read_text()
    index = (folder / "index.txt").read_text()
    assert "bird/spine0.txt: " in index
    assert "journals/rack0-cs0.txt: 0 bytes" in index
    assert "*/rack1-cs0.txt: not gathered: rack1-cs0 is off" in index
    assert "\ntest: test_it.py::test_bad\nattempt: 1\n" in index
    bundle = f"artifacts/{folder.name}/{folder.name}.tar.gz"
    assert (project / "report" / bundle).stat().st_size > 0
    assert f"evidence: {project / 'report' / bundle}" in done.stdout
    assert f'<a href="{bundle}">' in (project / "report" / REPORT).read_text()
    assert f"evidence: `{bundle}`" in (project / "report" / "summary.md").read_text()
    assert {each.get("value") for each in ET.parse(project / "junit.xml").getroot().iter("property")} >= {bundle}


def test_a_scenario_that_passes_leaves_no_evidence(project: Path) -> None:
    done = _pytest(project, "def test_good(dc):\n    pass\n")
    assert "evidence:" not in done.stdout
    assert not (project / "report" / "artifacts").exists()


def test_what_explains_a_failure_under_a_fault_is_gathered_before_it_is_healed(project: Path) -> None:
    text = (
        "from vdc.faults import ServerCrash\n\n"
        "def test_bad(dc, inject):\n    with inject(ServerCrash('rack1-cs0')):\n        assert not 'this'\n"
    )
    done = _pytest(project, text)
    assert done.status == 1
    (folder,) = (project / "report" / "artifacts").iterdir()
    index = (folder / "index.txt").read_text()
    assert "*/rack1-cs0.txt: not gathered: waited" in index
    assert "*/rack1-cs0.txt: not gathered" in done.stdout


@pytest.mark.parametrize(
    "skip", ["@pytest.mark.skip\ndef test_it(dc):\n    pass\n", "def test_it(dc):\n    pytest.skip()\n"]
)
def test_a_run_that_skipped_every_scenario_does_not_succeed(project: Path, skip: str) -> None:
    done = _pytest(project, skip)
    assert done.status == 1, done.stdout
    assert "FAILED" in done.stdout


def test_a_run_that_only_lists_scenarios_proves_nothing_and_succeeds(project: Path) -> None:
    assert _pytest(project, "def test_it(dc):\n    pass\n", "--collect-only").status == 0


def test_on_a_data_centre_that_is_named_scenarios_refuse_to_run_in_several_processes(project: Path) -> None:
    text = "def test_it(dc):\n    pass\n"
    done = _bare_pytest(project, text, "--dc=fake", "-n2")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "run in one process: leave out -n" in done.stderr
    assert _bare_pytest(project, text, "--dc=fake", "-n0").status == 0
    assert not (project / "calls").exists()


def test_a_deployer_that_there_is_not_is_a_mistake(project: Path) -> None:
    done = _pytest(project, "def test_it(dc):\n    pass\n", "--deployer=consul")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "no deployer 'consul'; there is etcd, kubernetes" in done.stderr


def test_the_deployer_that_is_named_deploys(project: Path) -> None:
    text = "def test_it(cluster):\n    assert len(cluster.members) == 3\n"
    done = _pytest(project, text)
    assert done.status == 0, done.stdout


BOTH = (
    "@pytest.mark.standard\ndef test_any(cluster):\n    assert cluster.members\n\n"
    "@pytest.mark.standard\ndef test_pods(kubernetes):\n    assert kubernetes.node_names\n\n"
    "@pytest.mark.fault\ndef test_probed(cluster, probe):\n    pass\n"
)


def test_a_topology_with_a_kubernetes_gets_one_and_what_is_etcds_own_is_left_out(project: Path) -> None:
    done = _bare_pytest(project, BOTH, f"--topology={KUBERNETES}", "--run-dir=report")
    assert done.status == 0, done.stdout
    assert "1 left out: `probe` needs a cluster that speaks etcd; kubernetes speaks kubernetes" in done.stdout
    assert "2 passed, 1 deselected" in done.stdout
    assert "PASSED: 2 passed of 2" in done.stdout
    summary = (project / "report" / "summary.md").read_text()
    assert "* probed" in summary


def test_the_timers_of_cluster_and_fabric_on_a_slow_host_are_told(project: Path) -> None:
    text = (
        "from vdc.testing import FakeDataCenter\n\nFakeDataCenter.slowness = 1.0\n\n"
        "def test_it(kubernetes):\n    pass\n"
    )
    done = _bare_pytest(project, text, f"--topology={KUBERNETES}", "--run-dir=report")
    assert done.status == 0, done.stdout
    summary = (project / "report" / "summary.md").read_text()
    assert "## Timers for a host of slowness 1.00" in summary
    assert "| patience | 1 s (default 0 s) |" in summary
    assert "| BGP hold towards servers | 30 s (default 9 s) |" in summary


def test_what_probes_a_kubernetes_needs_no_etcd(project: Path) -> None:
    text = "def test_it(kubernetes, probe):\n    assert kubernetes.node_names and probe\n"
    done = _bare_pytest(project, text, f"--topology={KUBERNETES}")
    assert done.status == 0, done.stdout
    assert "1 passed" in done.stdout


def test_another_topology_gets_etcd_and_scenarios_of_kubernetes_are_left_out(project: Path) -> None:
    done = _pytest(project, BOTH)
    assert "1 left out: `kubernetes` needs a cluster that speaks kubernetes; etcd speaks etcd" in done.stdout
    assert "2 passed, 1 deselected" in done.stdout
    assert "* pods" in (project / "report" / "summary.md").read_text()


def test_scenarios_that_are_left_out_in_every_process_are_told_once(project: Path) -> None:
    done = _pytest(project, BOTH, "-n1")
    assert done.status == 0, done.stdout
    assert (project / "report" / "summary.md").read_text().count("* pods") == 1


def test_a_running_data_centre_is_asked_for_its_topology(project: Path) -> None:
    done = _bare_pytest(project, BOTH, "--dc=fake", "--deployer=kubernetes", "--collect-only")
    assert "1 left out: `probe`" in done.stdout
    done = _bare_pytest(project, "", "--dc=fake", "--collect-only")
    assert "1 left out: `kubernetes`" in done.stdout


def test_a_run_of_which_nothing_is_left_says_why_and_does_not_succeed(project: Path) -> None:
    done = _pytest(project, "def test_pods(kubernetes):\n    pass\n")
    assert done.status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "1 left out: `kubernetes` needs" in done.stdout


def test_what_the_deployer_refuses_is_told_before_anything_is_built(project: Path) -> None:
    (project / "refused.yml").write_text(f"extends: {SMALL}\nname: refused\n")
    text = "def test_it(cluster):\n    pass\n"
    done = _bare_pytest(project, text, f"--topology={project / 'refused.yml'}", "--run-dir=report")
    assert done.status == 1
    assert "no cluster on this" in done.stdout
    assert not (project / "calls").exists()


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
    assert re.fullmatch(r"\| total \| 10[0-5]\d\.\d s \| ≤ 600 s, missed \|", row)


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
    assert "2 error of 2" in done.stdout


def test_a_scenario_that_was_not_reached_is_an_error(project: Path) -> None:
    done = _pytest(project, "def test_a(dc):\n    assert 0\n\ndef test_b(dc):\n    pass\n", "-x")
    assert "1 failed, 1 error of 2" in done.stdout
    assert "not run" in (project / "report" / "summary.md").read_text()


def test_a_scenario_that_was_interrupted_has_not_passed(project: Path) -> None:
    done = _pytest(project, "def test_a(dc):\n    pass\n\ndef test_b(dc):\n    raise KeyboardInterrupt\n")
    assert "1 passed, 1 error of 2" in done.stdout
    assert "cut off" in (project / "report" / "summary.md").read_text()


def test_suites_run_in_their_order(project: Path) -> None:
    names = ("upgrade", "fault", "standard", "reboot")
    text = "".join(f"@pytest.mark.{name}\ndef test_{name}(dc):\n    pass\n\n" for name in names)
    done = _pytest(project, text, "-v", "--strict-markers")
    assert done.status == 0, done.stdout
    places = [done.stdout.index(f"::test_{name} ") for name in ("standard", "reboot", "fault", "upgrade")]
    assert places == sorted(places)


def test_what_was_said_inside_during_the_standard_suite_is_told_before_another_suite_begins(project: Path) -> None:
    anew = "\nfrom copy import copy\nattach = Life.attach\nLife.attach = lambda *said: copy(attach(*said))\n"
    (project / "conftest.py").write_text(CONFTEST + anew)  # as one that runs is another object each time
    for suite in ("standard", "fault"):
        text = f"import pytest\n@pytest.mark.{suite}\ndef test_it(dc):\n    pass\n"
        (project / f"test_{suite}.py").write_text(text)
    done = _bare_pytest(project, "", "--dc=fake", "--run-dir=report", "--import-mode=importlib")
    assert done.status == 0, done.stdout
    offsets = Counter(e.source for e in read(project / "report" / "history.jsonl") if e.kind == "offset")
    assert set(offsets.values()) == {4}, "at the beginning and at the end of both"


def test_secrets_that_guests_say_are_not_in_the_history_of_the_run(project: Path) -> None:
    line = "2026-11-22T13:53:04.193Z app --password hunter2 began"
    text = f"""
def test_it(dc):
    log = dc.run_directory / 'consoles' / 'rack1-cs0.log'
    log.parent.mkdir(exist_ok=True)
    log.write_text({line!r} + chr(10))
"""
    done = _pytest(project, text)
    assert done.status == 0, done.stdout
    told = (project / "report" / "history.jsonl").read_text() + (project / "report" / "report.html").read_text()
    assert "app --password [redacted] began" in told
    assert "hunter2" not in told


def test_the_history_of_the_run_outlives_the_data_centre(project: Path) -> None:
    _pytest(project, "def test_it(dc):\n    with dc.steps.step('a step'):\n        pass\n")
    report = project / "report"
    names = [event.data["name"] for event in read(report / "history.jsonl") if event.kind == "step"]
    assert names[:1] + names[-2:] == ["build the deployed state", "a step", "a step"]
    assert _calls(project)[-1] == "down fake"


def test_each_module_starts_from_a_restore_and_what_an_earlier_one_broke_is_whole_again(project: Path) -> None:
    (project / "test_a.py").write_text(
        "from vdc.faults import RouterOff\n\n"
        "def test_broken(dc):\n    dc.mark_dirty('this')\n\ndef test_not_reached(dc):\n    pass\n"
    )
    done = _pytest(project, "def test_whole(dc, cluster):\n    pass\n", "-v")
    assert "test_a.py::test_broken PASSED" in done.stdout
    assert "test_a.py::test_not_reached ERROR" in done.stdout
    assert "test_it.py::test_whole PASSED" in done.stdout
    assert _calls(project) == ["up fake", "write fake", "down fake", "fork fake", "down fake"]


ORDINARY = "pytestmark = pytest.mark.standard\n\ndef test_ordinary(dc, cluster):\n    pass\n"


def _standard(project: Path, text: str, *others: str) -> Completed:
    """Run a module with this test of the suite standard in it, another one, and then others."""
    (project / "test_a.py").write_text(f"import pytest\n\n@pytest.mark.standard\n{text}")
    for number, other in enumerate(others):
        (project / f"test_more{number}.py").write_text(f"import pytest\n\n{other}")
    return _pytest(project, ORDINARY, "-v")


def test_modules_of_the_suite_standard_share_the_data_centre_and_a_reboot_gets_one_of_its_own(project: Path) -> None:
    reboot = ORDINARY.replace("standard", "reboot")
    done = _standard(project, "def test_first(dc):\n    pass\n", reboot, "def test_free(dc):\n    pass\n")
    assert "PASSED: 4 passed of 4" in done.stdout
    again = ["down fake", "fork fake"]
    assert _calls(project) == ["up fake", "write fake", *again, *again, "down fake"]


@pytest.mark.parametrize(
    "text",
    [
        "def test_bad(dc):\n    assert not 'this'\n",
        "def test_bad(late):\n    pass\n\n@pytest.fixture\ndef late(dc):\n    yield\n    raise OSError\n",
        "def test_known(dc):\n    pytest.xfail('not yet')\n",
        "def test_broken(dc):\n    dc.mark_dirty('this')\n",
        "def test_ordinary(dc):\n    pass\n\ndef test_of_no_suite(dc):\n    pass\n",
    ],
)
def test_after_a_module_that_is_not_all_well_and_all_ordinary_the_next_one_gets_a_restored_one(
    project: Path, text: str
) -> None:
    assert "test_it.py::test_ordinary PASSED" in _standard(project, text).stdout
    assert _calls(project)[:4] == ["up fake", "write fake", "down fake", "fork fake"]


def test_a_data_centre_that_is_named_stays_as_dirty_as_it_is(project: Path) -> None:
    (project / "test_a.py").write_text("def test_broken(dc):\n    dc.mark_dirty('this')\n")
    done = _bare_pytest(project, "def test_not_reached(dc):\n    pass\n", "--dc=fake")
    assert "dirty since test_a.py::test_broken: this" in done.stdout
    assert "1 passed, 1 error of 2" in done.stdout


def test_a_damaged_deployed_state_is_rebuilt_with_a_message(project: Path) -> None:
    text = "def test_it(dc):\n    pass\n"
    _pytest(project, text)
    (project / "deployed" / "0123" / DAMAGED).touch()
    done = _pytest(project, text)
    assert done.status == 0, done.stdout
    assert "rebuild the deployed state: the checkpoint is damaged: ram: done" in done.stdout


def test_a_full_disk_ends_the_run_with_a_clear_message(project: Path) -> None:
    text = (
        "from vdc.errors import HostError\nfrom vdc.host import preflight\n\n"
        "def full(settings):\n    raise HostError('disk full: 3 MiB are free')\n\n"
        "def test_a(dc):\n    preflight.expect_room = full\n\ndef test_b(dc):\n    pass\n\n"
        "def test_c(dc):\n    pass\n"
    )
    done = _pytest(project, text)
    assert done.status == pytest.ExitCode.INTERRUPTED
    assert "Interrupted: disk full: 3 MiB are free" in done.stdout
    assert "1 passed, 2 error of 3" in done.stdout


def test_the_plugin_imports_nothing_heavy() -> None:
    heavy = "{'httpx', 'libvirt', 'pyroute2', 'cryptography', 'rich', 'pydantic', 'networkx'}"
    code = f"import sys, vdc.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    assert run([sys.executable, "-c", code], timeout=30).stdout.strip() == "[]"
