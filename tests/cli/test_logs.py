from __future__ import annotations

from itertools import islice
from pathlib import Path

from vdc.cli.logs import lines


def test_a_log_is_printed_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    assert list(lines(log)) == ["one\n", "two\n"]


def test_following_a_log_yields_what_is_added(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    following = lines(log, follow=True)
    assert next(following) == "one\n"
    with log.open("a") as file:
        file.write("two\nthree\n")
    assert list(islice(following, 2)) == ["two\n", "three\n"]
