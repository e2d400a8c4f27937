"""Lets a person look inside: a run stands still after a failure, or before a scenario, for a limited time."""

from __future__ import annotations

import os
import select
import shlex
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from vdc.datacenter.api import DataCenter
from vdc.datacenter.stay import Stay, begin, end, parse_duration, stay_of
from vdc.pytest_plugin import uses_dc
from vdc.pytest_plugin.reporting import tell
from vdc.wait import ticks

if TYPE_CHECKING:
    from vdc.pytest_plugin.session import Session

PAUSE_SECONDS: Final = 1800.0
"""How long a run waits before a scenario, where `--hold-on-failure` does not say how long a person may take."""

_LOOK_EVERY: Final = 0.25
_TERMINAL: Final = Path("/dev/tty")


class Holding:
    """What the command line says of standing still. Raises pytest.UsageError: it makes no sense."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seconds = _seconds(config.getoption("--hold-on-failure"))
        self._pause: str | None = config.getoption("--pause-before")
        self._somebody_looks = True

    def expect_scenario(self, items: Sequence[pytest.Item]) -> None:
        """Pass if there is a scenario to wait before, or none is named. Raises pytest.UsageError."""
        names = [item.nodeid for item in items if uses_dc(item)]
        if self._pause is not None and not any(self._pause in name for name in names):
            raise pytest.UsageError(f"--pause-before: no scenario has {self._pause!r} in its name")

    def before(self, item: pytest.Item, session: Session) -> None:
        """Wait for a person, if that was asked for before this scenario."""
        if self._pause is not None and self._pause in item.nodeid:
            self._hold(session, self._seconds or PAUSE_SECONDS, f"before {item.nodeid}")

    def after_failure(self, session: Session, why: str) -> None:
        """Wait for a person to look into a failure, if that was asked for, and if somebody did the last time."""
        if self._seconds is None:
            return
        if not self._somebody_looks:
            tell(self._config, "  not held: nobody has looked into the failure before")
            return
        self._somebody_looks = self._hold(session, self._seconds, why)

    def _hold(self, session: Session, seconds: float, why: str) -> bool:
        """Stand still; return whether a person ended it or made it longer."""
        dc, vigil = session.dc, session.vigil
        assert dc is not None, "no module has begun"
        vigil.look()  # what was said until now is not the person's doing
        stay = begin(dc.run_directory, "hold", seconds, why=why, goes=session.goes)
        try:
            with dc.steps.step(f"hold: {why}"), _terminal() as pressed:
                for line in _told(dc, stay):
                    tell(self._config, line)
                over = _wait(dc, stay, pressed)
        finally:
            end(dc.run_directory, "hold")
        vigil.overlook()
        tell(self._config, f"  held {dc.name} until {over}")
        return over != _TIME_IS_UP


_TIME_IS_UP: Final = "its time was up"


def _wait(dc: DataCenter, stay: Stay, pressed: Callable[[], bool]) -> str:
    """Wait until the stay is over; return why it is."""
    longer = False
    for _ in ticks(_LOOK_EVERY):
        now = stay_of(dc.run_directory, "hold")
        if now is None:
            return "it was resumed"
        longer = longer or now.until != stay.until
        if not now.left:
            return "its longer time was up" if longer else _TIME_IS_UP
        if pressed():
            return "Enter was pressed"
    raise AssertionError("ticks never end")


def _told(dc: DataCenter, stay: Stay) -> Iterator[str]:
    """Yield what a person needs to look inside: commands on lines of their own, to be pasted as they are."""
    vdc = f"    {_vdc()}"
    server = next(iter(dc.topology.servers), None)
    router = next(iter(dc.topology.routers), None)
    yield f"  HELD: {stay.why}. {dc.name} stays as it is for {stay.left / 60:.1f} min, until {stay.ends}:"
    yield f"{vdc} status {dc.name}"
    if server is not None:
        yield f"{vdc} ssh {dc.name} {server.name}"
        yield f"{vdc} console {dc.name} {server.name}"
    if router is not None:
        yield f"{vdc} exec {dc.name} {router.name} -- ip route"
    if dc.topology.kubernetes is not None:
        yield f"{vdc} kubectl {dc.name} -- get pods --all-namespaces"
    yield "  gather the evidence again:"
    yield f"{vdc} bundle {dc.name}"
    yield "  stay longer; go on, which Enter here does, too:"
    yield f"{vdc} extend {dc.name} 30m"
    yield f"{vdc} resume {dc.name}"


def _vdc() -> str:
    """Return how the person who started this run calls the vdc that runs, from wherever they are."""
    sudo = "sudo " if os.geteuid() or "SUDO_USER" in os.environ else ""
    state = os.environ.get("VDC_STATE_DIR")
    variable = f"VDC_STATE_DIR={shlex.quote(state)} " if state else ""
    script = Path(sys.executable).with_name("vdc")
    return f"{sudo}{variable}{shlex.join([str(script)] if script.exists() else [sys.executable, '-m', 'vdc.cli'])}"


@contextmanager
def _terminal() -> Iterator[Callable[[], bool]]:
    """Give the body what tells whether Enter was pressed on the terminal of this run since now, if it has one."""
    handle = -1
    with suppress(OSError):
        handle = os.open(_TERMINAL, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        pressed = _Pressed(handle)
        pressed.forget()
        yield pressed
    finally:
        if handle >= 0:
            os.close(handle)


class _Pressed:
    """Tells whether a line was entered; of a terminal that hung up, that none was."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __call__(self) -> bool:
        try:
            return self._is_ours() and self._has_input() and bool(os.read(self._handle, 4096))
        except OSError:
            self._handle = -1
            return False

    def forget(self) -> None:
        """Let what was entered before be gone."""
        with suppress(OSError, termios.error):
            if self._is_ours():
                termios.tcflush(self._handle, termios.TCIFLUSH)

    def _is_ours(self) -> bool:
        # one in the background who reads is stopped by the kernel (termios(3), TTIN)
        return self._handle >= 0 and os.tcgetpgrp(self._handle) == os.getpgrp()

    def _has_input(self) -> bool:
        return bool(select.select([self._handle], [], [], 0)[0])


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise pytest.UsageError(f"--hold-on-failure: {error}") from error
