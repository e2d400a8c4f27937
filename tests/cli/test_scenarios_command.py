from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from vdc.cli.scenarios import STARTED, deployer_options, hand_over, scenario_folders
from vdc.errors import InputError
from vdc.shell import Completed, run


def test_without_a_choice_every_suite_runs() -> None:
    assert {folder.name for folder in scenario_folders([])} == {"standard", "reboot", "fault", "upgrade"}


def test_a_suite_that_is_asked_for_twice_runs_once() -> None:
    folders = scenario_folders(["fault", "standard", "fault"])
    assert [folder.name for folder in folders] == ["fault", "standard"]
    assert all(list(folder.glob("test_*.py")) for folder in folders)


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(InputError, match="no suite 'fun'") as caught:
        scenario_folders(["fun"])
    assert "fault, reboot, standard, upgrade" in str(caught.value)


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
