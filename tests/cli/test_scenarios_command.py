from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cli.scenarios import SUITES, run_pytest, scenario_folders
from vdc.errors import InputError

ROOT = Path(__file__).parents[2]


def test_suites_run_in_their_order_whatever_order_is_asked_for() -> None:
    folders = scenario_folders(["upgrade", "standard", "fault", "reboot"])
    assert [folder.name for folder in folders] == list(SUITES) == ["standard", "reboot", "fault", "upgrade"]


def test_every_suite_has_scenarios() -> None:
    assert {path.parent.name for path in (ROOT / "scenarios").glob("*/test_*.py")} == set(SUITES)


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
