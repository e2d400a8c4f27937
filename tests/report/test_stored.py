"""What a run leaves is enough to make its report again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.report.run_of import leave, run_of
from vdc.errors import InputError
from vdc.history import read
from vdc.report import RunResult
from vdc.report.stored import REPORT, RESULT, load, save, tracks
from vdc.testing.histories import history


@pytest.fixture
def run() -> RunResult:
    return run_of(history(seconds=130, period=1))


def test_a_result_is_read_as_it_was_written(run: RunResult, tmp_path: Path) -> None:
    save(run, tmp_path)
    assert load(tmp_path) == run


def test_the_page_is_the_same_when_it_is_made_again(run: RunResult, tmp_path: Path) -> None:
    leave(tmp_path, history(seconds=130, period=1))
    save(run, tmp_path)
    first = (tmp_path / REPORT).read_text()
    save(load(tmp_path), tmp_path)
    assert (tmp_path / REPORT).read_text() == first
    assert "a cut server link" in first


def test_each_worker_has_a_time_line_of_its_own(tmp_path: Path) -> None:
    for name in ("gw0-history.jsonl", "gw1-history.jsonl"):
        leave(tmp_path, history(seconds=70, period=1), name)
    assert [track.name for track in tracks(tmp_path, "")] == ["gw0", "gw1"]


def test_a_line_that_is_torn_costs_only_itself_and_is_counted(run: RunResult, tmp_path: Path) -> None:
    leave(tmp_path, history(seconds=70, period=1))
    path = tmp_path / "history.jsonl"
    first, *others = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, '{"time":1.0,"ki\n', "7\n", *others]))
    assert len(list(read(path))) == 1 + len(others)
    save(run, tmp_path)
    assert "2 lines cannot be read" in (tmp_path / REPORT).read_text()


def test_a_result_of_a_later_version_may_say_more(run: RunResult, tmp_path: Path) -> None:
    save(run, tmp_path)
    raw = json.loads((tmp_path / RESULT).read_text())
    raw["mood"] = raw["scenarios"][0]["mood"] = "good"
    (tmp_path / RESULT).write_text(json.dumps(raw))
    assert load(tmp_path) == run


def test_a_directory_without_a_result_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no report\.json"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scenarios": [{}]}', '{"scenarios": []}'])
def test_a_damaged_result_is_a_mistake(text: str, tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(InputError, match="is not the result of a run"):
        load(tmp_path)
