from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cli.scenarios import run_pytest, scenario_folders
from vdc.errors import InputError


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


@pytest.mark.parametrize(("body", "status"), [("assert True", 0), ("assert False", 1)])
def test_the_status_is_that_of_the_tests(
    tmp_path: Path, body: str, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {body}\n")
    assert run_pytest([str(tmp_path / "test_it.py"), "-q"]) == status
    assert ("1 passed" if status == 0 else "1 failed") in capfd.readouterr().out
