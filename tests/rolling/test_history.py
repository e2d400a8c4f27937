"""The judges of restarts, on histories that are good and bad, and on none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.history import Event
from vdc.observe.verdict import Kind
from vdc.rolling.boots import Boot, End
from vdc.rolling.history import (
    Absence,
    absences,
    at_most_away,
    causes_agree,
    last_away,
    one_rack_away,
    one_voter_away,
    restarted_once,
    seen_to_start,
    waited,
)
from vdc.rolling.locally import Kept, local_data


def away(server: str, start: float, end: float, action: str = "reboot", guest: End = End.RESTART) -> Absence:
    said = {"reboot": "reboot", "off": "stopped destroyed"}.get(action, "")
    return Absence(server=server, start=start, end=end, action=action, guest=guest, hypervisor=frozenset({said} - {""}))


def power(at: float, server: str, action: str) -> Event:
    return Event(time=at, kind="power", source="harness", data={"server": server, "action": action})


def machine(at: float, server: str, name: str, text: str = "") -> Event:
    return Event(time=at, kind="machine", source=server, data={"name": name, "text": text})


def rolling(at: float, name: str, phase: str, reason: str = "") -> Event:
    return Event(time=at, kind="rolling", source="queue", data={"name": name, "phase": phase, "reason": reason})


def boot(name: str, begun: float, ended: float | None = None, end: End = End.RUNS) -> Boot:
    return Boot(id=name, begun=begun, ended=ended, end=end)


TWO = [boot("1", 0, 12, End.RESTART), boot("2", 20)]


def test_an_absence_begins_with_what_was_done_and_ends_where_the_queue_has_it_back() -> None:
    events = [rolling(9, "a", "start"), power(10, "a", "reboot"), machine(13, "a", "reboot"), rolling(30, "a", "back")]
    (found,) = absences(events, {"a": TWO}, since={"a": "1"}, now=99.0)
    assert found == away("a", 10, 30)


def test_of_a_restart_that_nobody_asked_for_the_guest_alone_tells() -> None:
    (found,) = absences([], {"a": TWO}, since={"a": "1"}, now=99.0)
    assert (found.start, found.end, found.action) == (12, 20, "")
    assert found.cause == "harness: nothing, guest: restart, hypervisor: nothing"


def test_boots_of_before_do_not_count() -> None:
    assert absences([power(10, "a", "reboot")], {"a": TWO}, since={"a": "2"}, now=99.0) == ()


def test_what_was_done_to_a_young_boot_is_known_also_if_the_next_one_has_a_slower_clock() -> None:
    events = [power(10, "a", "reboot"), machine(13, "a", "reboot")]
    boots = [boot("1", 10.4, 12, End.RESTART), boot("2", 20)]
    (found,) = absences(events, {"a": boots}, since={"a": "1"}, now=99.0)
    assert causes_agree([found]).kind is Kind.VALID


def test_what_befell_others_does_not_count() -> None:
    events = [power(10, "b", "off"), machine(11, "b", "stopped", "destroyed")]
    (found,) = absences(events, {"a": TWO}, since={"a": "1"}, now=99.0)
    assert (found.action, found.hypervisor) == ("", frozenset())


def test_power_that_goes_several_times_before_a_boot_is_noted_is_one_absence() -> None:
    events = [power(at, "a", action) for at, action in ((5, "off"), (6, "on"), (7, "off"), (8, "on"))]
    events += [machine(7, "a", "stopped", "destroyed")]
    (found,) = absences(events, {"a": [boot("1", 0, None, End.CUT), boot("2", 20)]}, since={"a": "1"}, now=99.0)
    assert (found.start, found.action, found.guest) == (5, "off", End.CUT)
    assert causes_agree([found]).kind is Kind.VALID


def test_a_server_with_another_root_disk_has_forgotten() -> None:
    events = [power(5, "a", "off"), machine(5, "a", "stopped", "destroyed"), power(6, "a", "reimage debian-12")]
    (found,) = absences(events, {"a": [boot("9", 20)]}, since={"a": "1"}, now=99.0)
    assert (found.start, found.action, found.guest) == (5, "reimage", End.FORGOTTEN)
    assert causes_agree([found]).kind is Kind.VALID


GOOD = [away("a", 0, 10), away("b", 10, 20), away("c", 20, 30)]


def test_good_histories_are_valid() -> None:
    verdicts = [
        restarted_once(GOOD, ["a", "b", "c"]),
        at_most_away(GOOD, most=1),
        one_rack_away(GOOD, {"a": 0, "b": 1, "c": None}),
        one_voter_away(GOOD, ["a", "b"]),
        causes_agree(GOOD),
        last_away(GOOD, ["c"]),
    ]
    assert [str(verdict) for verdict in verdicts if verdict.kind is not Kind.VALID] == []


BAD = {
    "twice": (restarted_once([*GOOD, away("a", 40, 50)], ["a", "b", "c"]), "a restarted 2 times"),
    "left out": (restarted_once(GOOD, ["a", "b", "c", "d"]), "d restarted 0 times"),
    "another": (restarted_once(GOOD, ["a", "b"]), "c restarted, and was not to"),
    "unseen by the guest": (
        restarted_once(GOOD[:1], ["a"], [machine(1, "a", "started"), machine(5, "a", "started")]),
        "a was seen to start 2 times",
    ),
    "two at once": (at_most_away([*GOOD, away("d", 5, 15)], most=1), "2 away at once, 1 allowed: "),
    "three at once": (at_most_away([away(name, 0, 9) for name in "abc"], most=2), "3 away at once, 2 allowed: a, b, c"),
    "two racks": (one_rack_away([away("a", 0, 9), away("b", 5, 15)], {"a": 0, "b": 1}), "a (rack 0), b (rack 1)"),
    "no rack": (one_rack_away([away("a", 0, 9), away("b", 5, 15)], {"a": None, "b": None}), "away at once"),
    "two voters": (one_voter_away([away("a", 0, 9), away("b", 5, 15)], ["a", "b"]), "away at once: a, b"),
    "the guest says otherwise": (
        causes_agree([away("a", 0, 9, "reboot", End.CUT)]),
        "a: harness: reboot, guest: cut, hypervisor: reboot",
    ),
    "the hypervisor saw nothing": (
        causes_agree([away("a", 0, 9, "crash", End.CUT)]),
        "a: harness: crash, guest: cut, hypervisor: nothing",
    ),
    "nobody asked": (causes_agree([away("a", 0, 9, "")]), "harness: nothing"),
    "too early": (last_away(GOOD, ["b"]), "too early: b"),
    "did not wait": (waited([rolling(5, "a", "held", "x")], [away("a", 6, 9)], until=8.0), "though held up: a went"),
    "waited for something else": (
        waited([rolling(5, "a", "held", "timed out")], [away("a", 9, 10)], until=8.0, because="protected"),
        "nobody waited",
    ),
    "nobody waited": (waited([], [away("a", 9, 10)], until=8.0), "nobody waited"),
    "starts": (seen_to_start([machine(1, "a", "started")], "a", times=2), "a started 1 times, 2 expected"),
    "synced and lost": (local_data(Kept(("line 0",), ()), lines=2), "synced and lost: line 1"),
    "invented": (local_data(Kept(("line 0",), ("\x00\x00",)), lines=1), "never written: '\\x00\\x00'"),
    "disordered": (local_data(Kept(("line 1", "line 0"), ()), lines=2), "not in their order"),
}


@pytest.mark.parametrize(("verdict", "message"), BAD.values(), ids=BAD)
def test_bad_histories_are_invalid(verdict: object, message: str) -> None:
    assert "invalid" in str(verdict)
    assert message in str(verdict)


NOTHING = {
    "restarts": restarted_once([], []),
    "away": at_most_away([], most=1),
    "racks": one_rack_away([], {}),
    "voters": one_voter_away([away("a", 0, 9)], ["b"]),
    "causes": causes_agree([]),
    "last": last_away([away("a", 0, 9)], ["b"]),
    "lines": local_data(Kept(), lines=0),
}


@pytest.mark.parametrize("verdict", NOTHING.values(), ids=NOTHING)
def test_of_nothing_nothing_is_known(verdict: object) -> None:
    assert "unknown" in str(verdict)


def test_a_kernel_that_resets_several_times_to_restart_once_starts_once() -> None:
    resets = [machine(10 + at, "a", "reboot") for at in (0.0, 0.06, 0.09)]
    assert seen_to_start(resets, "a", times=1).kind is Kind.VALID
    assert seen_to_start([*resets, machine(13, "a", "reboot")], "a", times=2).kind is Kind.VALID


def test_one_that_waited_until_it_might_go_has_waited() -> None:
    verdict = waited([rolling(5, "a", "held", "no eviction")], [away("a", 9, 20)], until=8.0)
    assert str(verdict) == "waited: valid: held up: a: no eviction"


def test_of_lines_that_were_not_synced_it_is_told_how_many_were_lost() -> None:
    verdict = local_data(Kept(("line 0", "line 1", "line 2"), ("line 2",)), lines=3)
    assert str(verdict) == ("local_data: valid: all of 3 synced lines are there; of as many that were not, 2 were lost")
    assert verdict.figures == {"synced_lost": 0.0, "unsynced_lost": 2.0}


spans = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(spans=spans)
def test_so_many_are_away_as_are_at_any_instant(spans: Sequence[tuple[str, int, int]]) -> None:
    found = [away(name, start, start + length) for name, start, length in spans]
    counts = [sum(each.start <= instant < each.end for each in found) for instant in range(80)]
    verdict = at_most_away(found, most=1)
    assert verdict.figures["away"] == max(counts)
    assert (verdict.kind is Kind.VALID) is (max(counts) <= 1)
