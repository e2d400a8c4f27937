from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from vdc.cli.scenarios import STARTED, chosen_scenarios, deployer_options, hand_over
from vdc.datacenter import lifecycle
from vdc.errors import InputError
from vdc.shell import Completed, run

from .conftest import TOPOLOGIES, Vdc


def test_without_a_choice_every_suite_runs() -> None:
    assert {Path(each).name for each in chosen_scenarios([], None)} == {"standard", "reboot", "fault", "upgrade"}


def test_a_suite_that_is_asked_for_twice_runs_once() -> None:
    folders = [Path(each) for each in chosen_scenarios(["fault", "standard", "fault"], None)]
    assert [folder.name for folder in folders] == ["fault", "standard"]
    assert all(list(folder.glob("test_*.py")) for folder in folders)


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no suite 'fun'") as caught:
        chosen_scenarios(["fun"], None)
    assert "fault, premerge, reboot, standard, upgrade" in str(caught.value)


def test_a_commit_is_named_for_the_suite_before_a_merge_alone() -> None:
    with pytest.raises(InputError, match="--since is for the suite premerge"):
        chosen_scenarios(["fault"], "HEAD^")


def _scenario(tmp_path: Path, body: str) -> Completed:
    """Run a test file as `vdc test` does, in a process of its own, since it changes its process."""
    (tmp_path / "test_it.py").write_text(f"import os\nimport signal\n\ndef test_it():\n    {body}\n")
    arguments = [f"--rootdir={tmp_path}", str(tmp_path / "test_it.py"), "-q"]
    code = f"import sys; from vdc.cli.scenarios import run_pytest; sys.exit(run_pytest({arguments}, started=12.5))"
    return run([sys.executable, "-c", code], timeout=60, check=False, env={"PYTEST_ADDOPTS": ""})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("assert True", 0, "1 passed"),
        ("assert False", 1, "1 failed"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 2, "KeyboardInterrupt"),
    ],
)
def test_the_status_is_that_of_the_tests(tmp_path: Path, body: str, status: int, said: str) -> None:
    done = _scenario(tmp_path, body)
    assert done.status == status, done.stderr
    assert said in done.stdout


def test_the_tests_know_when_the_command_began(tmp_path: Path) -> None:
    assert _scenario(tmp_path, f"assert float(os.environ[{STARTED!r}]) == 12.5").status == 0


def test_a_deployer_is_passed_on_and_an_unknown_one_names_those_there_are() -> None:
    assert deployer_options(None) == ()
    assert deployer_options("etcd") == ("--deployer=etcd",)
    with pytest.raises(InputError, match="no deployer 'consul'") as caught:
        deployer_options("consul")
    assert "etcd" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_report_belongs_to_the_owner_of_the_directory_it_was_written_in(tmp_path: Path) -> None:
    report = tmp_path / "runs" / "mine"
    report.mkdir(parents=True)
    (report / "summary.md").write_text("fine")
    os.chown(tmp_path, 1234, 1235)
    hand_over(report)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (report.parent, report, report / "summary.md")}
    assert owners == {(1234, 1235)}


def _unprepared(*_: object) -> NoReturn:
    raise AssertionError("it was prepared")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pause-before", "no_such_thing"], "--pause-before: no scenario has 'no_such_thing' in its name"),
        (["--pause-before", "bgp", "-k", "not bgp"], "--pause-before: no scenario has 'bgp' in its name"),
        (["--pause-before", "bgp", "-k", "not ("], "-k"),
        (["--pause-before", "bgp"], "it was prepared"),
    ],
    ids=["no scenario's name", "one that does not run", "an expression that is none", "right"],
)
def test_a_scenario_to_wait_before_that_does_not_run_is_a_mistake_before_anything_is_touched(
    vdc: Vdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lifecycle, "prepare", _unprepared)
    earlier = tmp_path / "runs" / "small" / "summary.md"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("fine")
    arguments = ("test", str(TOPOLOGIES / "small.yml"), "--suite", "standard", *options)
    if said == "it was prepared":
        with pytest.raises(AssertionError, match=said):
            vdc(*arguments, uid=0)
    else:
        told = vdc(*arguments, uid=0)
        assert told.status == 2
        assert said in told.err
    assert [path.name for path in tmp_path.rglob("*.*")] == ["summary.md"]
