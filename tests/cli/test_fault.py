"""`vdc fault`: what it lists, and what it refuses before anything is touched."""

from __future__ import annotations

import pytest

from vdc.faults.catalogue import KINDS

from .conftest import Vdc


def test_every_kind_is_listed_with_what_it_takes_and_needs(vdc: Vdc) -> None:
    said = vdc("fault", "list")
    assert said.status == 0
    assert [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")] == list(KINDS)
    assert said.out.count("    needs ") == len(KINDS)
    assert "link-cut  device=NAME interface=NAME\n" in said.out


@pytest.mark.parametrize(
    "argv",
    [("run", "n", "link-cut", "device=a"), ("heal", "n"), ("replay", "n", "history.jsonl")],
    ids=lambda argv: argv[0],
)
def test_a_fault_needs_root(vdc: Vdc, argv: tuple[str, ...]) -> None:
    said = vdc("fault", *argv)
    assert said.status == 77
    assert "needs root" in said.err


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("run", "n", "link-cut"), "no data centre 'n'"),
        (("run", "n", "link-cut", "--for", "long"), "--for long: expected a duration"),
        (("run", "n", "link-cut", "--for", "0s"), "--for 0s: a fault lasts longer than that"),
        (("replay", "n", "nowhere.jsonl"), "nowhere.jsonl tells of no fault that bit"),
        (("heal", "n"), "no data centre 'n'"),
    ],
)
def test_what_cannot_be_is_refused(vdc: Vdc, argv: tuple[str, ...], why: str) -> None:
    said = vdc("fault", *argv, uid=0)
    assert said.status == 2
    assert why in said.err


def test_what_nobody_holds_any_more_is_healed_first(vdc: Vdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.datacenter.lifecycle.attach", lambda *_: None)
    monkeypatch.setattr("vdc.cli.fault.expect_up", lambda _: None)
    monkeypatch.setattr("vdc.faults.lease.heal_orphans", lambda _: ("spine0 off",))
    monkeypatch.setattr("vdc.cli.fault._chooser", lambda *_: lambda _, text: (text,))
    said = vdc("fault", "run", "n", "nonsense", uid=0)
    assert said.out == "healed, since nobody holds it any more: spine0 off\n"
    assert "no fault 'nonsense'" in said.err
