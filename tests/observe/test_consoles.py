from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event
from vdc.observe.consoles import RULES, console_clean, findings, rule_of
from vdc.observe.verdict import Kind

from .samples import unhurried

SAMPLES = Path(__file__).parent / "consoles"
"""What kernels 4.19 to 6.12 and systemd 247 to 257 write, a file for each rule; in `clean.txt`, what breaks none."""


def line(time: float, text: str, server: str = "rack0-cs0") -> Event:
    return Event(time=time, kind="console", source=server, data={"line": text})


def power(time: float, action: str, server: str = "rack0-cs0") -> Event:
    return Event(time=time, kind="power", source="harness", data={"server": server, "action": action})


def lines_of(name: str) -> list[str]:
    return [each for each in (SAMPLES / f"{name}.txt").read_text().splitlines() if each]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_knows_its_texts(rule: str) -> None:
    samples = lines_of(rule.replace("/", "").replace(" ", "-"))
    assert samples
    assert [(sample, rule_of(sample)) for sample in samples] == [(sample, rule) for sample in samples]


def test_what_a_healthy_boot_says_breaks_no_rule() -> None:
    assert {sample: rule_of(sample) for sample in lines_of("clean") if rule_of(sample)} == {}


def test_colours_do_not_hide_a_text() -> None:
    assert rule_of("\x1b[0;1;31mYou are in \x1b[0memergency mode.") == "emergency"


def test_a_finding_names_server_rule_and_line() -> None:
    verdict = console_clean([line(1, "[   12.3] Out of memory: Killed process 812 (etcd)"), line(2, "fine")])
    assert (verdict.kind, verdict.figures) == (Kind.INVALID, {"lines": 2.0, "findings": 1.0})
    assert verdict.message == "rack0-cs0: oom: [   12.3] Out of memory: Killed process 812 (etcd)"


def test_colours_are_not_told() -> None:
    (finding,) = findings([line(1, "\x1b[0;1;31mYou are in \x1b[0memergency mode.")])
    assert finding.text == "You are in emergency mode."


def test_a_panic_that_was_asked_for_is_none_but_only_there_and_then() -> None:
    panic = "[   99.0] Kernel panic - not syncing: NMI: Not continuing"
    assert findings([power(1, "crash"), line(2, panic)]) == ()
    assert findings([power(1, "NMI"), line(2, panic)]) == ()
    assert len(findings([power(1, "crash"), line(2, panic, "rack1-cs0")])) == 1
    assert len(findings([power(1, "crash"), power(2, "reset"), line(3, panic)])) == 1
    assert len(findings([power(3, "crash"), line(2, panic)])) == 1


def test_a_scenario_may_allow_rules_that_there_are() -> None:
    events = [line(1, "Out of memory: Killed process 812 (stress)")]
    assert console_clean(events, allowed=["oom"]).kind is Kind.VALID
    with pytest.raises(ValueError, match="no console rule oops!; there are panic, oops"):
        console_clean(events, allowed=["oops!"])


@unhurried
@given(st.lists(st.sampled_from(["fine", "Oops: 0002", "Freeing memory", "segfault at 0 ip 00007f"]), max_size=20))
def test_it_is_valid_exactly_when_no_line_breaks_a_rule(texts: list[str]) -> None:
    bad = sum(text.startswith(("Oops", "segfault")) for text in texts)
    verdict = console_clean([line(number, text) for number, text in enumerate(texts)])
    assert verdict.kind is (Kind.INVALID if bad else Kind.VALID if texts else Kind.UNKNOWN)
    assert verdict.figures["findings"] == bad
