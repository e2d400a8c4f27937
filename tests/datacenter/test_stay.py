"""A data centre stays for a time, which people lengthen or end, and never for ever."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter import stay
from vdc.datacenter.live import process_identity
from vdc.datacenter.stay import Stay, begin, end, extend, parse_duration, resume, stay_of, stays
from vdc.errors import BuildError, DirtyError, InputError, VdcError
from vdc.shell import start


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("2min", 120)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "30 m", "forever"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no duration such as 30m"):
        parse_duration(text)


def test_a_stay_can_be_read_by_others_and_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    began = begin(tmp_path, "hold", 600, why="it failed", goes=False)
    assert stays(tmp_path) == (began,)
    assert 590 < began.left <= 600
    assert began.holder == process_identity(os.getpid())
    assert began.keeper is None
    assert time.strftime("%H:%M", time.localtime(time.time() + 600))[:2] in began.ends


def test_it_is_made_longer_and_with_it_all_others(tmp_path: Path) -> None:
    begin(tmp_path, "ttl", 100, why="vdc up --ttl", goes=False)
    begin(tmp_path, "hold", 50, why="it failed", goes=False)
    first = extend(tmp_path, 1000)
    assert first.kind == "hold"
    assert [round(each.left / 10) for each in stays(tmp_path)] == [105, 110]


def test_what_has_no_end_or_is_over_cannot_be_put_off(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no end to put off"):
        extend(tmp_path, 60)
    begin(tmp_path, "ttl", 0, why="", goes=False)
    assert stays(tmp_path) == ()
    with pytest.raises(InputError, match="has no end to put off"):
        extend(tmp_path, 60)


def test_who_holds_it_sees_that_it_was_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run holds"):
        resume(tmp_path)
    begin(tmp_path, "hold", 600, why="it failed", goes=False)
    assert resume(tmp_path).why == "it failed"
    assert stay_of(tmp_path, "hold") is None
    end(tmp_path, "hold")


def test_a_run_that_is_dead_cannot_be_resumed_and_its_hold_stays(tmp_path: Path) -> None:
    begun = begin(tmp_path, "hold", 600, why="it failed", goes=False)
    _rewrite(tmp_path, replace(begun, holder=[begun.holder[0], 1]))  # type: ignore[index]
    with pytest.raises(InputError, match="no run holds"):
        resume(tmp_path)
    assert stays(tmp_path)


def test_what_another_boot_of_the_host_left_is_over(tmp_path: Path) -> None:
    _rewrite(tmp_path, replace(begin(tmp_path, "ttl", 600, why="", goes=False), boot="another"))
    assert stays(tmp_path) == ()


def test_ending_what_is_gone_is_fine(tmp_path: Path) -> None:
    end(tmp_path / "gone", "hold")
    end(tmp_path, "hold")


@pytest.mark.parametrize(
    "late",
    [
        lambda gone: begin(gone, "hold", 600, why="it failed", goes=False),
        lambda gone: extend(gone, 60),
        resume,
    ],
)
def test_what_comes_after_it_is_gone_leaves_nothing_that_blocks_the_name(
    late: Callable[[Path], object], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="gone is gone"):
        late(tmp_path / "gone")
    end(tmp_path / "gone", "hold")
    stay.main(tmp_path / "gone" / "ttl.json")
    assert list(tmp_path.iterdir()) == []


class Keeper:
    """Runs the keeper in this process; what it would take down is counted."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.taken: list[Path] = []
        self.refuses: list[VdcError] = []
        monkeypatch.setattr(stay, "_take_down", self._take_down)
        monkeypatch.setattr(stay, "_LOOK_EVERY", 0.01)

    def __call__(self, kind: str) -> None:
        stay.main(self.directory / f"{kind}.json")

    def _take_down(self, directory: Path) -> None:
        if self.refuses:
            raise self.refuses.pop()
        self.taken.append(directory)


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    return Keeper(tmp_path, monkeypatch)


def _rewrite(directory: Path, changed: Stay) -> None:
    stay._write(directory, changed)


def test_what_is_over_is_taken_down_also_when_somebody_was_at_it(keeper: Keeper, tmp_path: Path) -> None:
    begin(tmp_path, "ttl", 0.05, why="vdc up --ttl", goes=False)
    keeper.refuses = [DirtyError("it is being built")]
    keeper("ttl")
    assert keeper.taken == [tmp_path]


def test_what_could_not_be_taken_down_is_told_once_and_tried_again(
    keeper: Keeper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, "ttl", 0, why="vdc up --ttl", goes=False)
    keeper.refuses = [BuildError("bridge br0", "it is busy") for _ in range(3)]
    keeper("ttl")
    assert keeper.taken == [tmp_path]
    assert capsys.readouterr().err.count("was not taken down") == 1


def test_what_somebody_holds_who_died_is_taken_down_when_its_time_is_up(keeper: Keeper, tmp_path: Path) -> None:
    begun = begin(tmp_path, "hold", 0.3, why="it failed", goes=False)
    _rewrite(tmp_path, replace(begun, holder=[begun.holder[0], 1]))  # type: ignore[index]
    keeper("hold")
    assert keeper.taken == [tmp_path]
    assert time.monotonic() >= begun.until


def test_who_holds_it_and_lives_takes_it_down_himself(keeper: Keeper, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as output:
        holder = start(["sleep", "60"], output=output)
    begun = begin(tmp_path, "hold", 0, why="it failed", goes=False)
    _rewrite(tmp_path, replace(begun, holder=process_identity(holder.pid)))
    with (tmp_path / "out").open("wb") as output:
        killer = start(["sh", "-c", f"sleep 0.5; kill {holder.pid}"], output=output)
    began = time.monotonic()
    keeper("hold")
    assert time.monotonic() - began > 0.4
    assert keeper.taken == [tmp_path]
    holder.wait()
    killer.wait()


def test_a_stay_that_was_ended_has_no_keeper_any_more(keeper: Keeper, tmp_path: Path) -> None:
    keeper("hold")
    assert keeper.taken == []


def test_one_keeper_is_enough(keeper: Keeper, tmp_path: Path) -> None:
    begun = begin(tmp_path, "ttl", 0, why="", goes=False)
    _rewrite(tmp_path, replace(begun, keeper=process_identity(os.getppid())))
    keeper("ttl")
    assert keeper.taken == []


def test_the_keeper_that_is_started_goes_with_the_stay(tmp_path: Path) -> None:
    from vdc.wait import NotYet, wait_for

    begin(tmp_path, "ttl", 600, why="", goes=True)

    def kept() -> list[int]:
        found = stay_of(tmp_path, "ttl")
        if found is None or found.keeper is None:
            raise NotYet((tmp_path / "ttl.log").read_text())
        return found.keeper

    process = wait_for(kept, what="the keeper", timeout=120)
    assert process_identity(process[0]) == process
    assert json.loads((tmp_path / "ttl.json").read_text())["why"] == ""
    end(tmp_path, "ttl")
    assert process_identity(process[0]) != process
