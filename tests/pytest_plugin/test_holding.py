"""A run stands still for a person, in runs of pytest on a data centre in memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from vdc.history import read
from vdc.shell import Completed

from .test_verdicts import _pytest

RESUME = """
from threading import Thread
from vdc.datacenter.stay import extend, resume, stay_of
from vdc.wait import NotYet, wait_for

def later(dc, *deeds):
    def held():
        if (found := stay_of(dc.run_directory, "hold")) is None:
            raise NotYet("it is not held")
        return found
    def do():
        wait_for(held, what="hold", timeout=60)
        for deed in deeds:
            deed(dc.run_directory)
    Thread(target=do, daemon=True).start()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from .test_plugin import CONFTEST

    (tmp_path / "conftest.py").write_text(CONFTEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(project: Path, text: str, *arguments: str) -> Completed:
    return _pytest(project, RESUME + text, *arguments)


def test_a_failure_is_held_for_a_time_and_told_how_to_look(project: Path) -> None:
    done = _run(project, "def test_bad(dc):\n    assert not 'this'\n", "--hold-on-failure=0.5s")
    assert done.status == 1
    assert "HELD: test_it.py::test_bad: AssertionError: assert not 'this'. small stays as it is" in done.stdout
    for command in ("status small", "ssh small ", "exec small", "extend small 30m", "resume small"):
        assert command in done.stdout
    assert "held small until its time was up" in done.stdout
    names = [event.data["name"] for event in read(project / "report/history.jsonl") if event.kind == "step"]
    assert any(name.startswith("hold: test_it.py::test_bad") for name in names)
    assert not list((project / "state").rglob("hold.json"))


def test_nobody_who_looks_is_waited_for_once(project: Path) -> None:
    text = "def test_a(dc):\n    assert 0\n\ndef test_b(dc):\n    assert 0\n"
    done = _run(project, text, "--hold-on-failure=0.5s")
    assert done.stdout.count("HELD:") == 1
    assert "not held: nobody has looked into the failure before" in done.stdout


def test_who_resumes_is_there_for_the_next_failure_too(project: Path) -> None:
    text = (
        "def test_a(dc):\n    later(dc, resume)\n    assert 0\n\ndef test_b(dc):\n    later(dc, resume)\n    assert 0\n"
    )
    done = _run(project, text, "--hold-on-failure=10m")
    assert done.stdout.count("HELD:") == 2
    assert done.stdout.count("held small until it was resumed") == 2


def test_a_hold_is_made_longer(project: Path) -> None:
    text = "def test_a(dc):\n    later(dc, lambda where: extend(where, 1.0))\n    assert 0\n"
    done = _run(project, text, "--hold-on-failure=3s")
    assert "held small until its longer time was up" in done.stdout


def test_what_passes_and_what_runs_again_is_not_held(project: Path) -> None:
    text = (
        "def test_good(dc):\n    pass\n\n"
        "def test_late(dc):\n    if first('ran'):\n        starve(dc)\n        assert 0\n"
    )
    done = _run(project, text, "--hold-on-failure=10m")
    assert done.status == 0, done.stdout
    assert "HELD" not in done.stdout


def test_a_failure_of_the_set_up_is_held_too(project: Path) -> None:
    text = "@pytest.fixture\ndef broken(dc):\n    raise RuntimeError('no')\n\ndef test_it(dc, broken):\n    pass\n"
    done = _run(project, text, "--hold-on-failure=0.5s")
    assert "HELD: test_it.py::test_it: RuntimeError: no." in done.stdout


def test_before_a_scenario_the_run_waits_to_be_resumed(project: Path) -> None:
    text = (
        "def test_first(dc):\n    later(dc, resume)\n\n"
        "def test_second(dc):\n    assert stay_of(dc.run_directory, 'hold') is None\n"
    )
    done = _run(project, text, "--pause-before=second")
    assert done.status == 0, done.stdout
    assert "HELD: before test_it.py::test_second. small stays as it is for 30.0 min" in done.stdout
    assert done.stdout.count("HELD") == 1
    assert "held small until it was resumed" in done.stdout


def test_a_scenario_to_wait_before_that_does_not_run_is_a_mistake(project: Path) -> None:
    done = _run(project, "def test_it(dc):\n    pass\n", "--pause-before=third")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "no scenario has 'third' in its name" in done.stderr
    assert not (project / "calls").exists()


def test_a_time_that_is_none_is_a_mistake(project: Path) -> None:
    done = _run(project, "def test_it(dc):\n    pass\n", "--hold-on-failure=long")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "--hold-on-failure: 'long' is no duration such as 30m" in done.stderr


_ENTER = """
from vdc.pytest_plugin.holding import _terminal
from vdc.wait import NotYet, wait_for

def check():
    if not pressed():
        raise NotYet("no")

with _terminal() as pressed:
    assert not pressed()
    print("ready", flush=True)
    wait_for(check, what="Enter", timeout=60)
    print("pressed", flush=True)
"""


def test_enter_on_the_terminal_goes_on() -> None:
    child, terminal = os.forkpty()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", _ENTER])
    said = b""
    try:
        while b"ready" not in said:
            said += os.read(terminal, 1024)
        os.write(terminal, b"\n")
        while b"pressed" not in said:
            said += os.read(terminal, 1024)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    assert b"pressed" in said
