"""What consoles say outside of scenarios' bodies is an error of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.errors import ClusterError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.logs import Logs
from vdc.pytest_plugin.vigil import Vigil
from vdc.testing import FakeDataCenter

from .fakes import SMALL
from .test_verdicts import _pytest

PANIC = "Kernel panic - not syncing: Fatal exception"
BREAKS = f"    say(dc, '{PANIC}')\n"


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path)
    dc.recorder.start()
    (tmp_path / "consoles").mkdir()
    return dc


def _say(dc: FakeDataCenter, text: str, server: str = "rack1-cs0") -> None:
    with (dc.run_directory / "consoles" / f"{server}.log").open("a") as log:
        log.write(f"2026-11-22T13:53:04.193Z {text}\n")


def _vigil(dc: FakeDataCenter) -> Vigil:
    return Vigil(dc, Logs(dc.run_directory, {}))


def test_a_panic_while_it_came_up_is_told_once(dc: FakeDataCenter) -> None:
    _say(dc, PANIC)
    vigil = _vigil(dc)
    with pytest.raises(ClusterError, match=r"broke rules before its first scenario: rack1-cs0: panic: Kernel panic"):
        vigil.expect_clean("before its first scenario")
    vigil.expect_clean("outside of scenarios")


def test_of_many_lines_the_first_are_told(dc: FakeDataCenter) -> None:
    for _ in range(7):
        _say(dc, PANIC)
    with pytest.raises(ClusterError, match=r"; and 2 more$"):
        _vigil(dc).expect_clean("outside of scenarios")


def test_consoles_that_say_nothing_wrong_are_clean(dc: FakeDataCenter) -> None:
    _say(dc, "Welcome")
    _vigil(dc).expect_clean("outside of scenarios")


def test_what_a_body_s_own_watch_has_read_is_not_told_again(dc: FakeDataCenter) -> None:
    vigil = _vigil(dc)
    _say(dc, PANIC)
    _, read = vigil.logs.read()
    vigil.attended(read, ())
    vigil.expect_clean("outside of scenarios")


def test_what_a_scenario_may_break_it_may_not_break_for_ever(dc: FakeDataCenter) -> None:
    vigil = _vigil(dc)
    vigil.attended(vigil.logs, ("panic",))
    _say(dc, PANIC)
    vigil.expect_clean("outside of scenarios")
    _say(dc, PANIC)
    with pytest.raises(ClusterError, match="rack1-cs0: panic"):
        vigil.expect_clean("after the last scenario")


def test_a_panic_that_was_asked_for_is_none(dc: FakeDataCenter) -> None:
    dc.recorder.record("power", "harness", server="rack1-cs0", action="crash")
    path = dc.run_directory / "consoles" / "rack1-cs0.log"
    from datetime import UTC, datetime, timedelta

    path.write_text(f"{datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}.000Z {PANIC}\n")
    _vigil(dc).expect_clean("outside of scenarios")


@pytest.mark.parametrize("sampled", [True, False])
def test_what_only_a_starved_guest_says_counts_where_the_host_was_seen_not_to_be_starved(
    dc: FakeDataCenter, *, sampled: bool
) -> None:
    vigil = _vigil(dc)
    _say(dc, "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!")
    if not sampled:
        vigil.expect_clean("outside of scenarios")
        return
    dc.recorder.record("load", "host", seconds=1.0, late=0.0, waited=0.0, steal=0.0)
    with pytest.raises(ClusterError, match="soft lockup"):
        vigil.expect_clean("outside of scenarios")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from .test_plugin import CONFTEST

    (tmp_path / "conftest.py").write_text(CONFTEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        f"@pytest.fixture\ndef late(dc):\n    yield\n{BREAKS}\ndef test_it(dc, late):\n    pass\n",
        f"@pytest.fixture\ndef early(dc):\n{BREAKS}\ndef test_it(dc, early):\n    pass\n",
        "@pytest.fixture(scope='module')\ndef last(dc):\n    yield\n"
        f"{BREAKS}\ndef test_a(dc, last):\n    pass\n\ndef test_it(dc):\n    pass\n",
    ],
    ids=["teardown", "set-up", "end of the module"],
)
def test_a_panic_outside_of_bodies_is_an_error_of_the_run(project: Path, text: str) -> None:
    done = _pytest(project, text)
    assert done.status == 1, done.stdout
    assert f"consoles broke rules outside of scenarios: rack1-cs0: panic: {PANIC}" in done.stdout
    assert "1 error of" in done.stdout
    assert "1 error of" in (project / "report" / "summary.md").read_text()


def test_a_failure_is_not_hidden_by_what_consoles_said_later(project: Path) -> None:
    text = f"@pytest.fixture\ndef late(dc):\n    yield\n{BREAKS}\ndef test_it(dc, late):\n    assert not 'this'\n"
    done = _pytest(project, text)
    assert "FAILED: 1 failed of 1" in done.stdout
    summary = (project / "report" / "summary.md").read_text()
    assert "assert not 'this'" in summary
    assert f"consoles broke rules outside of scenarios: rack1-cs0: panic: {PANIC}" in summary


def test_a_panic_in_a_body_is_told_once(project: Path) -> None:
    done = _pytest(project, f"def test_it(dc):\n{BREAKS}\ndef test_other(dc):\n    pass\n")
    assert "FAILED: 1 passed, 1 failed of 2" in done.stdout
    assert "outside of scenarios" not in done.stdout


def test_what_a_scenario_breaks_on_purpose_it_may_break_a_little_later(project: Path) -> None:
    text = (
        f"@pytest.fixture\ndef late(dc):\n    yield\n{BREAKS}\n"
        "@pytest.mark.console_may_say('panic')\ndef test_it(dc, late):\n    pass\n"
    )
    done = _pytest(project, text)
    assert done.status == 0, done.stdout
