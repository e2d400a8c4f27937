"""What a run tried of upgrades is compared with the nights before, and recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import InputError
from vdc.pytest_plugin.attempts import TRIES, Attempts, compared, tries_of
from vdc.report import RunResult, ScenarioResult
from vdc.report.result import Result
from vdc.settings import Settings
from vdc.upgrade.coverage import read, record

pytest_plugins = ["pytester"]

TRIED = ScenarioResult(
    test="scenarios/upgrade/test_rolling.py::test_it",
    suite="upgrade",
    outcome=Result.PASSED,
    duration=61.23456,
    tries=("os-debian-13/plain",),
    steps={"upgrade a": 10.00049},
)
RUN = RunResult(name="n", topology="small", host="h", accelerator="tcg", slowness=1.0, scenarios=(TRIED,))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path)


def test_an_attempt_is_recorded_with_its_verdict_and_its_steps(settings: Settings) -> None:
    assert compared(RUN, settings) == RUN
    (kept,) = read(settings)
    assert (kept.path, kept.variant, kept.origin, kept.target) == ("os-debian-13", "plain", "debian-12", "debian-13")
    assert (kept.verdict, kept.seconds, kept.steps) == ("passed", 61.235, {"upgrade a": 10.0})
    assert (kept.topology, kept.host) == ("small", "tcg")


def test_the_median_of_the_nights_before_comes_with_the_result(settings: Settings) -> None:
    compared(RUN, settings)
    (one,) = read(settings)
    for day, seconds in ((1, 4.0), (2, 6.0), (3, 5.0)):
        record(settings, replace(one, when=f"2026-01-0{day}T03:00:00Z", steps={"upgrade a": seconds}))
    (settings.cache_dir / "upgrades" / "tried.jsonl").write_text(
        "".join((settings.cache_dir / "upgrades" / "tried.jsonl").read_text().splitlines(keepends=True)[1:])
    )
    (found,) = compared(RUN, settings).scenarios
    assert found.usual == {"upgrade a": 5.0}
    assert len(read(settings)) == 4


@pytest.mark.parametrize("outcome", [Result.FAILED, Result.ERROR, Result.INCONCLUSIVE])
def test_what_did_not_pass_is_recorded_as_such(settings: Settings, outcome: Result) -> None:
    compared(replace(RUN, scenarios=(replace(TRIED, outcome=outcome),)), settings)
    assert [each.verdict for each in read(settings)] == [str(outcome)]


def test_what_was_skipped_or_tries_nothing_is_not_recorded(settings: Settings) -> None:
    compared(replace(RUN, scenarios=(replace(TRIED, outcome=Result.SKIPPED), replace(TRIED, tries=()))), settings)
    assert read(settings) == ()


@pytest.mark.parametrize(
    ("tries", "said"),
    [("os-debian-1/plain", 'unknown path "os-debian-1"'), ("os-debian-13/sideways", 'no variant "sideways"')],
)
def test_a_marker_that_no_row_knows_is_told(settings: Settings, tries: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compared(replace(RUN, scenarios=(replace(TRIED, tries=(tries,)),)), settings)


def test_a_marked_test_says_what_it_tries_even_if_its_set_up_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            raise ZeroDivisionError

        @pytest.mark.upgrades("a", "plain")
        @pytest.mark.upgrades("b", "again")
        def test_broken(broken): ...

        def test_plain(): ...
        """
    )
    heard: dict[str, tuple[str, ...]] = {}

    class Listener(Attempts):
        def pytest_configure(self, config: pytest.Config) -> None:
            config.addinivalue_line("markers", "upgrades(path, variant): of this test")

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "setup":
                heard[report.nodeid.partition("::")[2]] = tries_of(report)

    pytester.inline_run("-p", "no:cacheprovider", plugins=[Listener()])
    assert heard == {"test_broken": ("b/again", "a/plain"), "test_plain": ()}
    assert TRIES == "tries"
