from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.settings import Settings
from vdc.upgrade import coverage
from vdc.upgrade.attempts import Slower, Tried, is_slower, latest, slower, usual
from vdc.upgrade.coverage import read, record


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


def tried(day: int, *, verdict: str = "passed", variant: str = "plain", **steps: float) -> Tried:
    return Tried(
        path="etcd-3.5",
        variant=variant,
        origin="debian-12",
        target="debian-12-etcd-3.5",
        topology="small",
        when=f"2026-11-{day:02}T03:00:00Z",
        verdict=verdict,
        seconds=61.5,
        steps=steps,
        vdc="0.1.0",
        host="tcg",
    )


def test_what_is_recorded_is_read(settings: Settings) -> None:
    assert read(settings) == ()
    first, second = tried(1, restart=2.5), tried(2, verdict="failed", variant="hold")
    record(settings, first)
    record(settings, second)
    assert read(settings) == (first, second)


def test_lines_that_hold_no_attempt_are_left_out_and_stay(settings: Settings) -> None:
    record(settings, tried(1))
    file = settings.cache_dir / "upgrades" / "tried.jsonl"
    with file.open("a") as lines:
        lines.write('{"path": "of a later version", "more": 1}\n[1]\n{"torn\n')
    record(settings, tried(2))
    assert read(settings) == (tried(1), tried(2))
    assert len(file.read_text().splitlines()) == 5


def test_what_a_later_version_says_more_is_left_out(settings: Settings) -> None:
    record(settings, tried(1))
    file = settings.cache_dir / "upgrades" / "tried.jsonl"
    file.write_text(file.read_text().replace('{"path"', '{"weather": "fine", "path"'))
    assert read(settings) == (tried(1),)


def test_the_record_is_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "_MOST", 3)
    for day in range(1, 6):
        record(settings, tried(day))
    assert [each.when[8:10] for each in read(settings)] == ["03", "04", "05"]


def test_nothing_is_lost_where_several_record_at_once(settings: Settings) -> None:
    attempts = [tried(1, variant=str(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: record(settings, each), attempts))
    assert {each.variant for each in read(settings)} == {each.variant for each in attempts}


def test_what_takes_longer_than_the_median_of_the_last_nights_is_told() -> None:
    history = [tried(day, restart=10.0, join=20.0, quick=0.1) for day in range(1, 8)] + [
        tried(8, restart=99.0, join=20.0)
    ]
    now = tried(9, restart=13.1, join=25.9, quick=0.4, new=50.0)
    assert usual(history, now) == {"restart": 10.0, "join": 20.0, "quick": pytest.approx(0.1)}
    assert slower(history, now) == (Slower("restart", 13.1, 10.0),)
    assert str(slower(history, now)[0]) == "restart: 13.1 s, usually 10.0 s (+31 %)"


def test_only_passed_attempts_alike_and_before_are_compared_with() -> None:
    alike = [tried(1, restart=10.0), tried(2, restart=10.0)]
    others = [
        tried(3, restart=1.0, verdict="failed"),
        tried(3, restart=1.0, variant="hold"),
        replace(tried(3, restart=1.0), host="kvm"),
        replace(tried(3, restart=1.0), topology="large"),
        tried(5, restart=1.0),
    ]
    assert usual([*alike, *others, *others], tried(4, restart=20.0)) == {"restart": 10.0}


def test_one_night_is_no_measure() -> None:
    assert slower([tried(1, restart=1.0)], tried(2, restart=100.0)) == ()


def test_only_the_last_nights_count() -> None:
    history = [tried(day, restart=1.0) for day in range(1, 20)] + [tried(day, restart=10.0) for day in range(20, 27)]
    assert usual(history, tried(28)) == {"restart": 10.0}


@pytest.mark.parametrize(("seconds", "wrong"), [(13.0, False), (13.01, True), (10.0, False), (5.0, False)])
def test_thirty_per_cent_more_is_slower(seconds: float, wrong: bool) -> None:
    assert is_slower(seconds, 10.0) is wrong


def test_the_last_attempt_of_each_variant_counts_in_whatever_order_they_are_written() -> None:
    last = latest([tried(3, verdict="failed"), tried(1), tried(2, variant="hold")])
    assert {key: each.verdict for key, each in last.items()} == {
        ("etcd-3.5", "plain"): "failed",
        ("etcd-3.5", "hold"): "passed",
    }
