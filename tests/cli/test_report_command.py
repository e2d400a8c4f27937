from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.run_of import leave, run_of
from vdc.report.stored import REPORT, save
from vdc.testing.histories import history

from .conftest import Vdc


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        directory = tmp_path / "runs" / name
        leave(directory, history(seconds=130, period=1))
        save(run_of(history(seconds=130, period=1)), directory)
    return tmp_path / "runs"


@pytest.mark.parametrize("way", ["one", "runs/one", "show one"])
def test_a_report_is_made_again_by_name_or_directory(vdc: Vdc, runs: Path, way: str) -> None:
    (runs / "one" / REPORT).unlink()
    done = vdc("report", *way.split())
    assert done.status == 0, done.err
    assert done.out.strip() == "runs/one/report.html"
    assert "a cut server link" in (runs / "one" / REPORT).read_text()


def test_a_picture_needs_a_browser(vdc: Vdc, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.report.picture.find", lambda _: None)
    done = vdc("report", "one", "--picture", "one.png")
    assert (done.status, done.err) == (
        3,
        "error: no Chromium or Chrome on this host\n  hint: apt-get install chromium\n",
    )
    assert (runs / "one" / REPORT).exists()


def test_two_runs_are_compared(vdc: Vdc, runs: Path) -> None:
    done = vdc("report", "diff", "one", "runs/two")
    assert done.status == 0, done.err
    assert "Nothing is different." in done.out


def test_a_run_that_there_is_not_names_those_there_are(vdc: Vdc, runs: Path) -> None:
    done = vdc("report", "three")
    assert done.status == 2
    assert "no run 'three'" in done.err
    assert "there is one, two" in done.err
