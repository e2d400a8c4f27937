from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from vdc.host.console_recorder import Follower, followers

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def look(directory: Path, known: dict[Path, Follower]) -> dict[Path, Follower]:
    found = followers(directory, known)
    for follower in found.values():
        follower.follow(NOW)
    return found


def test_lines_are_stamped_when_they_are_whole(tmp_path: Path) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(b"one\r\ntw")
    known = look(tmp_path, {})
    assert (tmp_path / "a.log").read_text() == "2026-01-02T03:04:05.678Z one\n"
    raw.write_bytes(b"one\r\ntwo\r\n")
    look(tmp_path, known)
    assert (tmp_path / "a.log").read_text().splitlines()[1:] == ["2026-01-02T03:04:05.678Z two"]


def test_a_console_that_comes_later_is_followed_and_one_that_goes_is_forgotten(tmp_path: Path) -> None:
    known = look(tmp_path, {})
    assert known == {}
    (tmp_path / "a.raw").write_bytes(b"")
    known = look(tmp_path, known)
    assert (tmp_path / "a.log").read_text() == "", "a guest that wakes has a log though it says nothing"
    (tmp_path / "a.raw").unlink()
    (tmp_path / "a.log").unlink()
    assert look(tmp_path, known) == {}
    (tmp_path / "a.raw").write_bytes(b"again\n")
    look(tmp_path, {})
    assert (tmp_path / "a.log").read_text() == "2026-01-02T03:04:05.678Z again\n"
