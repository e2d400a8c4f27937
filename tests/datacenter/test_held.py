"""The lock of a run directory, whoever dies with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.datacenter.live import held, sweep_locks
from vdc.errors import DirtyError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_held_once_and_leaves_nothing(tmp_path: Path) -> None:
    with held(tmp_path / "one"):
        with (
            pytest.raises(DirtyError, match="one is being built or taken down"),
            held(tmp_path / "other"),
            held(tmp_path / "one"),
        ):
            pass
        assert names(tmp_path) == {".one.lock"}
    assert names(tmp_path) == set()


def test_the_lock_of_one_that_was_killed_is_swept_and_that_of_another_is_not(tmp_path: Path) -> None:
    (tmp_path / ".killed.lock").touch()
    (tmp_path / "a.lock").touch()
    with held(tmp_path / "one"):
        sweep_locks(tmp_path)
        assert names(tmp_path) == {".one.lock", "a.lock"}
