"""Lets a person look inside: a run stands still after a failure, or before a scenario, for a limited time."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from vdc.datacenter.api import DataCenter
from vdc.datacenter.stay import Stay, begin, end, parse_duration, stay_of
from vdc.pytest_plugin import uses_dc
from vdc.pytest_plugin.reporting import tell
from vdc.wait import ticks

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

    def before(self, item: pytest.Item, dc: DataCenter, *, goes: bool) -> None:
        """Wait for a person, if that was asked for before this scenario."""
        if self._pause is not None and self._pause in item.nodeid:
            self._hold(dc, self._seconds or PAUSE_SECONDS, f"before {item.nodeid}", goes=goes)

    def after_failure(self, dc: DataCenter, why: str, *, goes: bool) -> None:
        """Wait for a person to look into a failure, if that was asked for, and if somebody did the last time."""
        if self._seconds is None:
            return
        if not self._somebody_looks:
            tell(self._config, "  not held: nobody has looked into the failure before")
            return
        self._somebody_looks = self._hold(dc, self._seconds, why, goes=goes)

    def _hold(self, dc: DataCenter, seconds: float, why: str, *, goes: bool) -> bool:
        """Stand still; return whether a person ended it or made it longer."""
        stay = begin(dc.run_directory, "hold", seconds, why=why, goes=goes)
        for line in _told(dc, stay):
            tell(self._config, line)
        try:
            with dc.steps.step(f"hold: {why}"):
                over = _wait(dc, stay)
        finally:
            end(dc.run_directory, "hold")
        tell(self._config, f"  held {dc.name} until {over}")
        return over != _TIME_IS_UP


_TIME_IS_UP: Final = "its time was up"


def _wait(dc: DataCenter, stay: Stay) -> str:
    """Wait until the stay is over; return why it is."""
    longer = False
    with _terminal() as pressed:
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
    """Yield what a person needs to look inside."""
    state = os.environ.get("VDC_STATE_DIR")
    vdc = "  " + " ".join((*(["sudo"] if os.geteuid() else []), *([f"VDC_STATE_DIR={state}"] if state else []), "vdc"))
    server = next(iter(dc.topology.servers), None)
    router = next(iter(dc.topology.routers), None)
    yield f"  HELD: {stay.why}. {dc.name} stays as it is for {stay.left / 60:.1f} min, until {stay.ends}:"
    yield f"  {vdc} status {dc.name}"
    if server is not None:
        yield f"  {vdc} ssh {dc.name} {server.name}    {vdc.strip()} console {dc.name} {server.name}"
    if router is not None:
        yield f"  {vdc} exec {dc.name} {router.name} -- ip route"
    if dc.topology.kubernetes is not None:
        yield f"  {vdc} kubectl {dc.name} -- get pods --all-namespaces"
    yield f"  {vdc} bundle {dc.name}    gathers the evidence again"
    yield f"  {vdc} extend {dc.name} 30m    {vdc.strip()} resume {dc.name}, or Enter here, goes on"


@contextmanager
def _terminal() -> Iterator[_Pressed]:
    """Give the body what tells whether Enter was pressed on the terminal of this run, if it has one."""
    handle = -1
    with suppress(OSError):
        handle = os.open(_TERMINAL, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        yield _Pressed(handle)
    finally:
        if handle >= 0:
            os.close(handle)


class _Pressed:
    """Tells whether a line was entered."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __call__(self) -> bool:
        # one in the background who reads is stopped by the kernel (termios(3), TTIN)
        if self._handle < 0 or os.tcgetpgrp(self._handle) != os.getpgrp():
            return False
        return bool(select.select([self._handle], [], [], 0)[0]) and bool(os.read(self._handle, 4096))


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise pytest.UsageError(f"--hold-on-failure: {error}") from error
