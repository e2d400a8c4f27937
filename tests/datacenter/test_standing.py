"""Guests stand still for a body, and go on whatever becomes of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.datacenter.conftest import Guests
from vdc.datacenter import standing
from vdc.datacenter.live import LiveDataCenter, held
from vdc.datacenter.standing import standing_still
from vdc.errors import BuildError, WaitTimeout
from vdc.history import read
from vdc.host import keeper


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What keepers would run, which say that they stand by."""
    commands: list[Sequence[str]] = []

    def keep(file: Path, _seconds: float, command: Sequence[str], *, netns: str) -> None:
        assert netns.startswith("vdc-")
        keeper.mark_of(file).write_text("0")
        commands.append(command)

    monkeypatch.setattr("vdc.host.keeping.keep", keep)
    monkeypatch.setattr(standing, "identity", lambda name: (0, len(name)))
    return commands


def left(dc: LiveDataCenter) -> list[str]:
    return sorted(path.name for path in dc.run_directory.glob("standing*"))


def test_they_go_on_after_the_body(dc: LiveDataCenter, guests: Guests, kept: list[Sequence[str]]) -> None:
    with standing_still(dc, tuple(dc.servers.values())):
        assert set(guests.states.values()) == {"paused"}
        (file,) = dc.run_directory.glob(standing.PATTERN)
        assert json.loads(file.read_text()) == list(dc.servers)
    assert set(guests.states.values()) == {"running"}
    assert left(dc) == []
    assert [command[1:3] for command in kept] == [["-m", "vdc.datacenter.standing"]]


def test_they_go_on_if_one_cannot_be_stopped(dc: LiveDataCenter, guests: Guests, kept: list[Sequence[str]]) -> None:
    guests.refusals = frozenset({("suspend", list(dc.servers)[-1])})
    with pytest.raises(BuildError, match="suspend"), standing_still(dc, tuple(dc.servers.values())):
        pytest.fail("one of them runs")
    assert set(guests.states.values()) == {"running"}
    assert left(dc) == []
    assert kept


def test_nobody_is_stopped_while_nobody_stands_by(
    dc: LiveDataCenter, guests: Guests, kept: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(file: Path, *_: object, **__: object) -> None:
        file.with_suffix(".log").write_text("no such module")

    monkeypatch.setattr("vdc.host.keeping.keep", keep)
    monkeypatch.setattr(standing, "_KEPT_SECONDS", 0.01)
    with pytest.raises(WaitTimeout, match="no such module"), standing_still(dc, tuple(dc.servers.values())):
        pytest.fail("nobody stands by")
    assert set(guests.states.values()) == {"running"}
    assert left(dc) == kept == []


def test_one_that_does_not_go_on_is_named_and_the_data_centre_is_dirty(
    dc: LiveDataCenter, guests: Guests, kept: list[Sequence[str]]
) -> None:
    stuck, *_ = dc.servers
    guests.refusals = frozenset({("resume", stuck)})
    with pytest.raises(BuildError, match=f"{stuck} stands still: resume: refused"):  # noqa: SIM117 - it is the exit
        with standing_still(dc, tuple(dc.servers.values())):
            assert kept
    assert dc.dirty() == f"{stuck} stands still: resume: refused"
    assert Counter(guests.states.values())["paused"] == 1


def test_a_keeper_waits_for_who_is_at_work_and_touches_nothing_of_what_is_gone(
    dc: LiveDataCenter, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = dc.run_directory / "standing-1.json"
    monkeypatch.setattr(standing, "_BUSY_SECONDS", 0.01)
    with held(dc.run_directory), pytest.raises(WaitTimeout, match="nobody else to be at work"):
        standing.main([str(file), keeper.DIED])
    standing.main([str(file), keeper.DIED])
    assert set(guests.states.values()) == {"running"}


def test_the_keeper_lets_those_go_on_that_stand_still(
    dc: LiveDataCenter, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = dc.run_directory / "standing-1.json"
    file.write_text(json.dumps(list(dc.servers)))
    stopped, *_ = dc.servers
    guests.states[stopped] = "paused"
    monkeypatch.setattr("vdc.datacenter.lifecycle.attach", lambda *_: dc)
    standing.main([str(file), keeper.DIED])
    assert set(guests.states.values()) == {"running"}
    assert left(dc) == []
    assert [each.data["why"] for each in read(dc.recorder.path) if each.source == "standing"] == [keeper.DIED]
