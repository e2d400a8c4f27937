"""Leases: let go only when healed, and never healed twice. No keeper runs here: the tests take its part."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from vdc.errors import HealError, WaitTimeout
from vdc.faults import LinkCut, injected, lease
from vdc.history import read
from vdc.host import keeper
from vdc.host.claims import PLAN
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]
CUT = LinkCut("spine0", "rack0-tor0")


@pytest.fixture
def make_leased(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> MakeDataCenter:
    """Make data centres whose faults have leases, and whose keeper says that it stands by."""

    def keep(file: Path, seconds: float, _command: Sequence[str], *, netns: str) -> None:
        keeper.mark_of(file).write_text("0")
        file.with_suffix(".log").write_text(f"{netns} {seconds}")

    def make(*lies: Lie) -> FakeDataCenter:
        dc = make_dc(*lies)
        dc.run_directory.mkdir(exist_ok=True)
        (dc.run_directory / PLAN).write_text("{}")
        return dc

    monkeypatch.setattr("vdc.host.keeping.keep", keep)
    monkeypatch.setattr(lease, "identity", lambda name: (0, len(name)))
    return make


def left(dc: FakeDataCenter) -> list[str]:
    return sorted(path.suffix for path in (dc.run_directory / lease.FOLDER).iterdir())


def only(dc: FakeDataCenter) -> Path:
    (file,) = (dc.run_directory / lease.FOLDER).glob("*.json")
    return file


def phases(dc: FakeDataCenter) -> list[str]:
    return [event.data["phase"] for event in read(dc.recorder.path) if event.kind == "fault"]


def heal_as_keeper(dc: FakeDataCenter, file: Path) -> None:
    lease._heal(dc, file, keeper.EXPIRED)


def test_nothing_is_left_of_a_lease_whose_fault_is_healed(make_leased: MakeDataCenter) -> None:
    dc = make_leased()
    with injected(dc, CUT):
        assert left(dc) == [".json", ".keeper", ".log"]
    assert left(dc) == []


def test_a_fault_that_was_not_healed_keeps_its_lease_and_is_healed_later(make_leased: MakeDataCenter) -> None:
    dc = make_leased(Lie.NEVER_HEALS)
    with pytest.raises(HealError), injected(dc, CUT):
        pass
    assert {".json", ".log"} <= set(left(dc))
    with pytest.raises(HealError):
        lease.heal_orphans(dc)
    assert {".json", ".log"} <= set(left(dc))
    dc.world.lies = frozenset()
    assert lease.heal_orphans(dc) == (CUT.name,)
    assert left(dc) == []
    assert not dc.world.cut


def test_who_interrupts_healing_leaves_the_lease(make_leased: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_leased()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LinkCut, "heal", interrupted)
        with pytest.raises(KeyboardInterrupt), injected(dc, CUT):
            pass
    assert lease.heal_orphans(dc) == (CUT.name,)


def test_a_keeper_that_fails_for_any_reason_says_so_and_keeps_the_lease(
    make_leased: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_leased()

    def broken(*_: object) -> None:
        raise RuntimeError("no memory")

    with injected(dc, CUT):
        with monkeypatch.context() as patch:
            patch.setattr("vdc.faults.catalogue.from_record", broken)
            with pytest.raises(RuntimeError, match="no memory"):
                heal_as_keeper(dc, only(dc))
        assert "no memory" in (dc.dirty() or "")
        assert ".json" in left(dc)
    assert left(dc) == []


def test_what_the_keeper_has_healed_is_not_healed_again_but_proven(make_leased: MakeDataCenter) -> None:
    dc = make_leased()
    with pytest.raises(WaitTimeout, match="the lease ran out"), injected(dc, CUT):
        heal_as_keeper(dc, only(dc))
    assert phases(dc) == ["inject", "bites", "heal", "healed", "healed"]
    assert left(dc) == []


def test_a_keeper_that_waited_while_it_was_healed_does_nothing(
    make_leased: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc, waiting = make_leased(), []
    heals = LinkCut.heal

    def heal(fault: LinkCut, where: Any) -> None:
        waiting.append(threading.Thread(target=heal_as_keeper, args=(dc, only(dc))))
        waiting[0].start()
        waiting[0].join(0.1)
        assert waiting[0].is_alive()
        heals(fault, where)

    monkeypatch.setattr(LinkCut, "heal", heal)
    with injected(dc, CUT):
        pass
    waiting[0].join(10)
    assert phases(dc) == ["inject", "bites", "heal", "healed"]
    assert left(dc) == []


def test_a_lock_that_was_removed_keeps_nobody_away_and_nobody_waits_for_it(tmp_path: Path) -> None:
    file, inside = tmp_path / "a.json", []
    file.touch()

    def enter() -> None:
        with lease._alone(file):
            inside.append((tmp_path / "a.healing").stat().st_ino)

    with lease._alone(file):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(0.1)
        (tmp_path / "a.healing").unlink()
    thread.join(10)
    assert len(inside) == 1
    assert (tmp_path / "a.healing").stat().st_ino == inside[0]


def test_a_body_that_outlasts_its_lease_fails_even_if_nobody_healed(
    make_leased: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_leased()
    with pytest.raises(WaitTimeout, match="the lease ran out"), injected(dc, CUT):
        monkeypatch.setattr("vdc.faults.lease.time.monotonic", lambda: 1e12)
    assert not dc.world.cut


def test_a_lease_lasts_as_long_as_the_body_means_to_take(make_leased: MakeDataCenter) -> None:
    dc = make_leased()
    with injected(dc, CUT, lasting=10_000.0):
        assert only(dc).with_suffix(".log").read_text() == f"vdc-{dc.name} 11800.0"


def test_a_lease_says_where_modules_are_found(make_leased: MakeDataCenter) -> None:
    dc = make_leased()
    with injected(dc, CUT):
        (told,) = lease.held(dc.run_directory)
        assert told["path"][:-1] == sys.path
        assert told["path"][-1] == str(Path(lease.__file__).parents[2])
        assert lease.heal_orphans(dc) == ()
