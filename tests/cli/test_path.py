from __future__ import annotations

from pathlib import Path

import pytest

from vdc.shell import find, run, start


def test_daemons_are_found_though_sbin_is_not_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    assert run(["printenv", "PATH"], timeout=10).stdout.strip() == path
    assert run(["printenv", "PATH"], timeout=10, env={"A": "b"}).stdout.strip() == path
    with (tmp_path / "said").open("wb") as output:
        assert start(["printenv", "PATH"], output=output).wait(10) == 0
    assert (tmp_path / "said").read_text().strip() == path


def test_a_path_that_has_sbin_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin")
    assert run(["printenv", "PATH"], timeout=10).stdout.strip() == "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin"


def test_a_command_that_is_nowhere_is_not_found() -> None:
    assert find("sh") is not None
    assert find("no-such-command-of-anybody") is None
