"""A run stands still for a person, in runs of pytest on a data centre in memory."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from vdc.datacenter.stay import begin
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.pytest_plugin.holding import _told
from vdc.shell import Completed
from vdc.testing import FakeDataCenter

from .fakes import SMALL
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
    for command in ("status", "ssh", "exec", "bundle", "extend", "resume"):
        assert f"vdc {command} small" in done.stdout
    assert "held small until its time was up" in done.stdout
    names = [event.data["name"] for event in read(project / "report/history.jsonl") if event.kind == "step"]
    assert any(name.startswith("hold: test_it.py::test_bad") for name in names)
    assert not list((project / "state").rglob("hold.json"))


def test_each_command_to_look_with_can_be_pasted_as_its_line_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "somebody")
    monkeypatch.setenv("VDC_STATE_DIR", "/srv/two words")
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path)
    lines = [shlex.split(line) for line in _told(dc, begin(tmp_path, "hold", 60.0, why="it", goes=False))]
    commands = [line[2:] for line in lines if line[0] == "sudo"]
    assert all(line[1] == "VDC_STATE_DIR=/srv/two words" for line in lines if line[0] == "sudo")
    assert {Path(command[0]).is_absolute() for command in commands} == {True}
    assert [" ".join(command[1:]) for command in commands] == [
        "status small",
        "ssh small rack0-cs0",
        "console small rack0-cs0",
        "exec small border0 -- ip route",
        "bundle small",
        "extend small 30m",
        "resume small",
    ]
    assert not any("vdc" in word for line in lines if line[0] != "sudo" for word in line)


def test_who_is_root_without_sudo_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.delenv("VDC_STATE_DIR", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path)
    told = list(_told(dc, begin(tmp_path, "hold", 60.0, why="it", goes=False)))
    assert any(line.strip().startswith("/") and line.endswith("vdc status small") for line in told)
    assert not any("sudo" in line for line in told)


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


_SAYS = """
def says(dc):
    later(dc, lambda _: say(dc, "Kernel panic - not syncing: Fatal exception"), resume)
"""


@pytest.mark.parametrize(
    ("text", "option", "verdict"),
    [
        ("def test_a(dc):\n    says(dc)\n    assert 0\n", "--hold-on-failure=10m", "1 failed of 1"),
        ("def test_a(dc):\n    says(dc)\n\ndef test_b(dc):\n    pass\n", "--pause-before=test_b", "2 passed of 2"),
    ],
    ids=["after a failure", "before a scenario"],
)
def test_what_a_person_does_while_the_run_is_held_is_not_judged(
    project: Path, text: str, option: str, verdict: str
) -> None:
    done = _run(project, _SAYS + text, option)
    assert done.stdout.count("held small until it was resumed") == 1
    assert verdict in done.stdout
    assert "consoles broke rules" not in done.stdout


def test_what_was_said_before_a_hold_is_judged_though(project: Path) -> None:
    text = (
        "@pytest.fixture\ndef broken(dc):\n    say(dc, 'Kernel panic - not syncing: Fatal exception')\n"
        "    raise RuntimeError('no')\n\ndef test_it(dc, broken):\n    pass\n"
    )
    done = _run(project, text, "--hold-on-failure=0.5s")
    assert "consoles broke rules outside of scenarios: rack1-cs0: panic" in done.stdout


def test_a_scenario_to_wait_before_that_does_not_run_is_a_mistake(project: Path) -> None:
    done = _run(project, "def test_it(dc):\n    pass\n", "--pause-before=third")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "no scenario has 'third' in its name" in done.stderr
    assert not (project / "calls").exists()


def test_a_time_that_is_none_is_a_mistake(project: Path) -> None:
    done = _run(project, "def test_it(dc):\n    pass\n", "--hold-on-failure=long")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "--hold-on-failure: 'long' is no duration such as 30m" in done.stderr


_BEGIN = """
import os
import select
import signal
from contextlib import suppress
from vdc.pytest_plugin.holding import _terminal
from vdc.wait import NotYet, wait_for
"""

_ENTER = """
def check():
    if not pressed():
        raise NotYet("no")

print("type", flush=True)
early = os.open("/dev/tty", os.O_RDONLY)
select.select([early], [], [])
with _terminal() as pressed:
    print("ready" if not pressed() else "early", flush=True)
    wait_for(check, what="Enter", timeout=60)
    print("pressed", flush=True)
"""

_HANGS_UP = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
with _terminal() as pressed:
    with suppress(OSError):  # it may hang up while this is written
        os.write(1, b"ready")
    signal.sigwait([signal.SIGHUP])
    for _ in range(3):
        assert not pressed()
os._exit(7)
"""


def _on_a_terminal(code: str) -> tuple[int, int]:
    child, terminal = os.forkpty()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", _BEGIN + code])
    return child, terminal


def _read_until(terminal: int, *words: bytes) -> bytes:
    said = b""
    while not any(word in said for word in words):
        said += os.read(terminal, 1024)
    return said


def test_enter_on_the_terminal_goes_on_but_not_one_from_before() -> None:
    child, terminal = _on_a_terminal(_ENTER)
    try:
        _read_until(terminal, b"type")
        os.write(terminal, b"\n")
        assert b"early" not in _read_until(terminal, b"ready", b"early")
        os.write(terminal, b"\n")
        assert b"pressed" in _read_until(terminal, b"pressed")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def test_a_terminal_that_hangs_up_says_no_more() -> None:
    child, terminal = _on_a_terminal(_HANGS_UP)
    try:
        _read_until(terminal, b"ready")
    finally:
        os.close(terminal)
        status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 7
