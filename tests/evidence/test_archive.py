"""An archive is never larger than it may be, and can be read by anybody."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

import pytest

from vdc.evidence.archive import archive

LIMIT = 400_000


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as file:
        return {each.name: file.extractfile(each).read() for each in file}  # type: ignore[union-attr]


def test_what_fits_is_there_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "it.tar.gz"
    with archive(path, limit=LIMIT) as target:
        assert target.add("a/b.txt", b"hello") == ""
        assert target.add("empty", b"") == ""
        target.close("index.txt", "two files\n")
    assert _members(path) == {"it/a/b.txt": b"hello", "it/empty": b"", "it/index.txt": b"two files\n"}


def test_of_what_is_too_long_the_end_is_kept(tmp_path: Path) -> None:
    path, noise = tmp_path / "it.tar.gz", random.Random(7).randbytes(LIMIT)
    with archive(path, limit=LIMIT) as target:
        told = target.add("noise", noise)
        again = target.add("more", noise)
        target.close("index.txt", "")
    kept = _members(path)["it/noise"]
    assert noise.endswith(kept)
    assert len(kept) > 50_000
    assert told == f"only its last {len(kept)} of {LIMIT} bytes fit"
    assert again.startswith(("left out: ", "only its last "))
    assert path.stat().st_size <= LIMIT


def test_long_texts_are_measured_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "it.tar.gz"
    with archive(path, limit=LIMIT) as target:
        assert target.add("zeros", b"0" * 20_000_000) == ""
        target.close("index.txt", "")
    assert path.stat().st_size <= LIMIT


def test_the_index_always_fits(tmp_path: Path) -> None:
    path, noise = tmp_path / "it.tar.gz", random.Random(7).randbytes(3 * LIMIT)
    with archive(path, limit=LIMIT) as target:
        target.add("noise", noise)
        target.close("index.txt", noise.hex())
    assert "it/index.txt" in _members(path)
    assert path.stat().st_size <= LIMIT


def test_one_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space"), archive(tmp_path / "it.tar.gz", limit=LIMIT):
        raise OSError("no space")
    assert list(tmp_path.iterdir()) == []


def test_its_folder_has_the_whole_name_of_what_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py__test_this.tar.gz"
    with archive(path, limit=LIMIT) as target:
        target.close("index.txt", "")
    assert list(_members(path)) == ["test_it.py__test_this/index.txt"]
