"""The verdict of a scenario: by what was seen of it, and in runs of pytest on a data centre in memory."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from threading import Event, Thread
from xml.etree import ElementTree as ET

import pytest

from vdc.history import read
from vdc.pytest_plugin.rulings import Quarantine, Seen, ruled
from vdc.pytest_plugin.watching import alone, among_others
from vdc.report.result import STARVED, Result
from vdc.shell import Completed, run

from .fakes import SMALL
from .test_plugin import CONFTEST

TODAY = date(2026, 11, 22)
QUARANTINE = Quarantine(issue="https://example.org/7", until=TODAY)

BEGIN = """
from pathlib import Path

import pytest

def starve(dc):
    dc.recorder.record("load", "host", seconds=1.0, late=3.0, waited=0.0, steal=0.0)

def say(dc, text):
    with (dc.run_directory / "consoles" / "rack1-cs0.log").open("a") as log:
        log.write(f"2026-11-22T13:53:04.193Z {text}\\n")

def first(name):
    there = Path(name).exists()
    Path(name).touch()
    return not there
"""


@pytest.mark.parametrize(
    ("outcome", "seen", "quarantine", "verdict", "why"),
    [
        (Result.PASSED, Seen(), None, Result.PASSED, ""),
        (Result.FAILED, Seen(), None, Result.FAILED, ""),
        (Result.ERROR, Seen(), None, Result.ERROR, ""),
        (Result.SKIPPED, Seen(starved="late", console="oops"), QUARANTINE, Result.SKIPPED, ""),
        (Result.PASSED, Seen(starved="late"), None, Result.INCONCLUSIVE, "late"),
        (Result.FAILED, Seen(starved="late"), None, Result.INCONCLUSIVE, "late"),
        (Result.PASSED, Seen(starved="late", console="oops"), None, Result.FAILED, "oops; late"),
        (Result.FAILED, Seen(starved="late", console="oops"), None, Result.FAILED, "oops; late"),
        (Result.FAILED, Seen(starved="late", unsafe=True), None, Result.FAILED, "late"),
        (Result.ERROR, Seen(starved="late"), None, Result.ERROR, "late"),
        (Result.PASSED, Seen(console="oops"), None, Result.FAILED, "oops"),
        (Result.FAILED, Seen(console="oops"), None, Result.FAILED, "oops"),
        (
            Result.FAILED,
            Seen(),
            QUARANTINE,
            Result.QUARANTINED,
            "quarantine until 2026-11-22 for https://example.org/7",
        ),
        (
            Result.PASSED,
            Seen(console="oops"),
            QUARANTINE,
            Result.QUARANTINED,
            "quarantine until 2026-11-22 for https://example.org/7; oops",
        ),
        (
            Result.PASSED,
            Seen(),
            QUARANTINE,
            Result.PASSED,
            "passed in quarantine until 2026-11-22 for https://example.org/7",
        ),
        (Result.ERROR, Seen(), QUARANTINE, Result.ERROR, ""),
        (Result.FAILED, Seen(starved="late"), QUARANTINE, Result.INCONCLUSIVE, "late"),
    ],
)
def test_the_rules(outcome: Result, seen: Seen, quarantine: Quarantine | None, verdict: Result, why: str) -> None:
    assert ruled(outcome, seen, quarantine, TODAY) == (verdict, why)


@pytest.mark.parametrize("outcome", [Result.PASSED, Result.FAILED, Result.ERROR, Result.SKIPPED])
def test_a_quarantine_turns_red_the_day_after_it_ends(outcome: Result) -> None:
    assert ruled(outcome, Seen(), QUARANTINE, date(2026, 11, 23)) == (
        Result.FAILED,
        "its quarantine until 2026-11-22 for https://example.org/7 has expired",
    )


def test_whoever_is_alone_waits_for_the_others_and_they_for_it(tmp_path: Path) -> None:
    order: list[str] = []
    may_end, waits = Event(), Event()

    def one() -> None:
        waits.set()
        with alone(tmp_path):
            order.append("alone")

    def another() -> None:
        with among_others(tmp_path):
            order.append("another")

    with among_others(tmp_path):
        with among_others(tmp_path):
            order.append("two together")
        threads = [Thread(target=one), Thread(target=another)]
        threads[0].start()
        assert waits.wait(60)
        may_end.wait(0.2)
        threads[1].start()
        may_end.wait(0.2)
        order.append("the first ends")
    for thread in threads:
        thread.join(60)
    assert order == ["two together", "the first ends", "alone", "another"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _pytest(project: Path, text: str, *arguments: str) -> Completed:
    (project / "test_it.py").write_text(BEGIN + text)
    own = [f"--topology={SMALL}", "--name=fake", "--run-dir=report", "--junitxml=junit.xml"]
    environment = {"COLUMNS": "160", "VDC_STATE_DIR": str(project / "state"), "VDC_CACHE_DIR": str(project)}
    return run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={project}", *own, *arguments, "."],
        timeout=300,
        check=False,
        env={**environment, "PYTEST_ADDOPTS": ""},
    )


def _outcomes(project: Path) -> dict[str, str]:
    rows = [line.split(" | ") for line in (project / "report" / "summary.md").read_text().splitlines()]
    return {row[2]: row[0].removeprefix("| ") for row in rows if len(row) == 5 and row[2] not in {"scenario", "---"}}


def _properties(project: Path) -> dict[str, dict[str, str]]:
    cases = list(ET.parse(project / "junit.xml").getroot().iter("testcase"))
    assert len(cases) == len({case.get("name") for case in cases})
    return {
        case.get("name", ""): {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}
        for case in cases
    }


FIRST = "the harness stood still for 3.0 s; it said: AssertionError: assert not 'this'"
NOTED = f"passed on a rerun; the first time: {FIRST}"

RERUN = """
def test_once(dc, record_property):
    record_property("write_outage", 9.0 if first("once") else 1.0)
    if not Path("twice").exists():
        Path("twice").touch()
        starve(dc)
        assert not "this"
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["one process", "a worker"])
def test_what_failed_on_a_starved_host_runs_once_more_on_what_is_restored_and_is_marked(
    project: Path, workers: tuple[str, ...]
) -> None:
    done = _pytest(project, RERUN, *workers)
    assert done.status == 0, done.stdout
    assert f"inconclusive: {FIRST}; it runs again, alone" in done.stdout + done.stderr
    assert _outcomes(project) == {"once": "✅ passed *"}
    assert f"\\* once: {NOTED}" in (project / "report" / "summary.md").read_text()
    assert f"once: {NOTED}" in done.stdout
    properties = _properties(project)["test_once"]
    assert {"write_outage": "1.0", "verdict": "passed", "note": NOTED}.items() <= properties.items()
    assert [line.split()[0] for line in (project / "calls").read_text().splitlines()] == [
        "up",
        "write",
        "down",
        "fork",
        "down",
    ]
    history = next((project / "report").glob("*history.jsonl"))
    told = [event.data for event in read(history) if event.kind == "scenario"]
    assert [(each["phase"], each["attempt"], each.get("outcome")) for each in told] == [
        ("start", 1, None),
        ("done", 1, "inconclusive"),
        ("start", 2, None),
        ("done", 2, "passed"),
    ]


_SAID = ("INCONCLUSIVE", "FAILED")


def test_a_run_of_which_nothing_failed_but_something_is_inconclusive_has_a_status_of_its_own(project: Path) -> None:
    text = (
        "def test_good(dc):\n    pass\n\n"
        "def test_passes(dc):\n    starve(dc)\n\n"
        "def test_fails(dc):\n    starve(dc)\n    assert not 'this'\n"
    )
    done = _pytest(project, text, "-v")
    assert done.status == STARVED, done.stdout
    assert "INCONCLUSIVE: 1 passed, 2 inconclusive of 3" in done.stdout
    assert [done.stdout.count(f"{name} {said}") for name in ("passes", "fails") for said in _SAID] == [2, 0, 2, 0]
    assert _outcomes(project) == {"good": "✅ passed", "passes": "❔ inconclusive *", "fails": "❔ inconclusive *"}
    assert {name: has["verdict"] for name, has in _properties(project).items()} == {
        "test_good": "passed",
        "test_passes": "inconclusive",
        "test_fails": "inconclusive",
    }


VERDICTS = """
def test_console(dc):
    say(dc, "[  1.0] Oops: 0002 [#1] SMP")

@pytest.mark.console_may_say("oops")
def test_allowed(dc):
    say(dc, "[  1.0] Oops: 0002 [#1] SMP")

def test_guest_starved(dc):
    if first("guest"):
        starve(dc)
        say(dc, "[  128.1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [etcd:7]")

def test_guest_stalled(dc):
    say(dc, "[  128.1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [etcd:7]")

def test_unsafe(dc):
    from vdc.observe.verdict import Kind, Verdict, judge
    starve(dc)
    judge(Verdict(kind=Kind.INVALID, checker="no_write_lost", message="a write is lost"))

@pytest.mark.quarantine("https://example.org/7", until="9999-12-31")
def test_quarantined(dc):
    assert not "this"

@pytest.mark.quarantine("https://example.org/7", until="2001-01-01")
def test_expired(dc):
    pass

def test_harness(dc):
    raise RuntimeError("a mistake of ours")

def test_harness_late(dc):
    from vdc.errors import HarnessTimeout
    raise HarnessTimeout("`ip` on host", deadline=1.0, last="still running")

def test_cluster_late(dc):
    from vdc.errors import WaitTimeout
    raise WaitTimeout("a leader", deadline=1.0, last="there is none")

def test_cluster(dc):
    from vdc.errors import ClusterError
    raise ClusterError("a mistake of its own")

def test_skipped(dc):
    pytest.skip("the kernel lacks netem")
"""


def test_each_verdict_has_a_run_that_comes_to_it(project: Path) -> None:
    done = _pytest(project, VERDICTS)
    assert done.status == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert _outcomes(project) == {
        "console": "❌ failed *",
        "allowed": "✅ passed",
        "guest starved": "✅ passed *",
        "guest stalled": "❌ failed *",
        "unsafe": "❌ failed *",
        "harness late": "💥 error",
        "cluster late": "❌ failed",
        "quarantined": "🚧 quarantined *",
        "expired": "❌ failed *",
        "harness": "💥 error",
        "cluster": "❌ failed",
        "skipped": "⏭️ skipped",
    }
    summary = (project / "report" / "summary.md").read_text()
    assert "\\* console: rack1-cs0: oops: [ 1.0] Oops: 0002 [#1] SMP" in summary
    assert "\\* expired: its quarantine until 2001-01-01 for https://example.org/7 has expired" in summary
    assert "the kernel lacks netem" in summary
    assert "rack1-cs0: soft lockup: " in summary


def test_a_quarantine_without_an_issue_or_an_end_is_a_mistake(project: Path) -> None:
    for marker in ('quarantine("flaky", until="2027-01-01")', 'quarantine("https://example.org/7")'):
        done = _pytest(project, f"@pytest.mark.{marker}\ndef test_it(dc):\n    pass\n")
        assert done.status == pytest.ExitCode.USAGE_ERROR, done.stdout
        assert 'a quarantine is quarantine("https://… of the issue", until="YYYY-MM-DD")' in done.stderr + done.stdout
    assert not (project / "calls").exists()


def test_a_plain_test_that_fails_is_not_hidden_by_what_is_inconclusive(project: Path) -> None:
    done = _pytest(project, "def test_starved(dc):\n    starve(dc)\n\ndef test_plain():\n    assert not 'this'\n")
    assert done.status == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "INCONCLUSIVE: 1 inconclusive of 1" in done.stdout


ALONE = """
import vdc.pytest_plugin.verdicts as verdicts

_alone = verdicts.alone

def logged(folder):
    with Path("calls").open("a") as file:
        file.write("alone\\n")
    return _alone(folder)

verdicts.alone = logged

@pytest.mark.standard
def test_once(dc):
    if first("once"):
        starve(dc)
"""


def test_whoever_passed_on_a_starved_host_is_alone_without_its_data_centre_and_gets_a_restored_one(
    project: Path,
) -> None:
    done = _pytest(project, ALONE)
    assert done.status == 0, done.stdout
    calls = [line.split()[0] for line in (project / "calls").read_text().splitlines()]
    assert calls == ["up", "write", "down", "alone", "fork", "down"]


def test_each_attempt_has_its_artifacts(project: Path) -> None:
    _pytest(project, "def test_it(dc):\n    starve(dc)\n")
    folders = sorted(path.name for path in (project / "report" / "artifacts").iterdir())
    assert folders == ["test_it.py__test_it", "test_it.py__test_it-attempt2"]


def test_a_console_rule_that_there_is_not_is_a_mistake(project: Path) -> None:
    done = _pytest(project, '@pytest.mark.console_may_say("oops!")\ndef test_it(dc):\n    pass\n')
    assert done.status == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert "console_may_say: no console rule oops!; there are panic, oops" in done.stderr + done.stdout
    assert not (project / "calls").exists()


def test_the_load_of_this_host_is_in_the_history_and_a_failure_waits_for_its_last_sample(project: Path) -> None:
    text = (
        "from vdc.testing import FakeDataCenter\n\nFakeDataCenter.slowness = 1.0\n\n"
        "def test_it(dc):\n    assert not 'this'\n"
    )
    done = _pytest(project, text)
    events = list(read(project / "report" / "history.jsonl"))
    (end,) = [event.time for event in events if event.kind == "scenario" and event.data["phase"] == "done"]
    (start,) = [event.time for event in events if event.kind == "scenario" and event.data["phase"] == "start"]
    looked = [event for event in events if event.kind == "load" and start <= event.time <= end]
    assert looked, done.stdout
    assert end - start < 60
