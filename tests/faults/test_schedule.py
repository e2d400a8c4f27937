"""Schedules: read with every mistake and its place, drawn from a seed, kept apart, run and undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import Golden
from vdc.datacenter.convergence import differences
from vdc.errors import HarnessTimeout, HealError, HostError, InputError
from vdc.faults import Isolated, LinkCut, LinkDisturbed, RackOff, RoutersOff
from vdc.faults.catalogue import Chosen, to_record
from vdc.faults.kinds import KINDS
from vdc.faults.picking import among_of, pick
from vdc.faults.schedule import Planned, Schedule, as_yaml, collide, drawn, strikes
from vdc.faults.schedule_run import play
from vdc.faults.schedule_spec import ExpectSpec, Loaded, Span, load, parse_span, schema
from vdc.history import read
from vdc.model.disturbance import Disturbance
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "schedules"
ERRORS = ROOT / "tests" / "golden" / "schedules"
FILES = sorted(FOLDER.glob("*.yml"))
RESTLESS = FOLDER / "restless.yml"


def chooser_of(dc: FakeDataCenter, leader: str = "rack1-cs0") -> Callable[[Random], Chosen]:
    def chooser(dice: Random) -> Chosen:
        def chosen(name: str, text: str) -> tuple[str, ...]:
            if name == "interface":
                return (text,)
            return pick(text, dc.topology, dice, among=among_of(name), leader=lambda: leader)

        return chosen

    return chooser


def loaded(folder: Path, text: str) -> Loaded:
    file = folder / "it.yml"
    file.write_text(text)
    return load(file, tuple(KINDS))


def draw(dc: FakeDataCenter, text: str, seed: int = 1) -> Schedule:
    return drawn(loaded(dc.run_directory, text), seed, dc, chooser_of(dc))


@pytest.mark.parametrize("path", sorted(ERRORS.glob("*.yml")), ids=lambda path: path.stem)
def test_mistakes_are_told_with_their_places(path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InputError) as caught:
        load(Path(path.name), ("link-cut", "routers-off"))
    golden(path.with_suffix(".txt"), f"{caught.value}\n")


def test_there_are_mistakes_to_tell() -> None:
    assert len(list(ERRORS.glob("*.yml"))) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_schedule_can_be_drawn_and_is_as_the_schema_says(path: Path, make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    for seed in range(20):
        assert drawn(load(path, tuple(KINDS)), seed, dc, chooser_of(dc))
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.Draft202012Validator(schema()).validate(YAML(typ="safe", pure=True).load(path))


def test_the_committed_schema_is_the_one(golden: Golden) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    golden(FOLDER / "schema.json", json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")


def test_a_span_is_one_time_or_two() -> None:
    assert parse_span("5s") == Span(5.0, 5.0)
    assert parse_span("500ms..2min") == Span(0.5, 120.0)
    for wrong in ("5", "9s..5s", "5s..", 5, "..5s"):
        with pytest.raises(ValueError, match="expected"):
            parse_span(wrong)


def test_the_same_seed_draws_the_same_and_another_does_not(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    first = [drawn(load(RESTLESS, tuple(KINDS)), 7, dc, chooser_of(dc)) for _ in range(2)]
    assert first[0] == first[1]
    assert first[0] != drawn(load(RESTLESS, tuple(KINDS)), 8, dc, chooser_of(dc))


def test_what_is_drawn_is_written_as_a_schedule_that_means_the_same(make_dc: MakeDataCenter, tmp_path: Path) -> None:
    dc = make_dc()
    planned = drawn(load(RESTLESS, tuple(KINDS)), 7, dc, chooser_of(dc))
    again = loaded(tmp_path, as_yaml(planned, ExpectSpec(outage="3s"), about="again"))  # type: ignore[arg-type]
    assert again.spec.expect.outage == 3.0
    assert drawn(again, 99, dc, chooser_of(dc)) == planned


def test_leaving_an_entry_out_changes_no_other(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    entry = "  - {fault: link-cut, with: {device: one(tier(spine)), interface: rack0-tor0}, at: 1s..99s, for: 1s}\n"
    assert draw(dc, "faults:\n" + entry)[0] in draw(dc, f"faults:\n{entry}{entry}")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(min_value=0, max_value=10_000))
def test_what_strikes_the_same_is_never_in_effect_together(make_dc: MakeDataCenter, seed: int) -> None:
    dc = make_dc()
    text = """
faults:
  - {fault: link-cut, with: {device: one(tier(spine)), interface: rack0-tor0}, at: 0s..60s, for: 1s..5s, times: 3}
  - {fault: routers-off, with: {routers: one(tier(spine))}, at: 0s..60s, for: 1s..5s, times: 3}
  - {fault: rack-off, with: {rack: 0}, at: 0s..60s, for: 2s}
"""
    planned = draw(dc, text, seed)
    assert len(planned) == 7
    for a in planned:
        for b in planned:
            if a is not b and a.at < b.at + b.seconds and b.at < a.at + a.seconds:
                struck = [strikes(dict(each.exactly or {}), dc.topology) for each in (a, b)]
                assert not collide(*struck)


def test_a_cable_a_device_and_a_rack_strike_what_they_are(small: Topology) -> None:
    def of(fault: object) -> frozenset[tuple[str, str]]:
        return strikes(to_record(fault), small)  # type: ignore[arg-type]

    cable, other = of(LinkCut("spine0", "rack0-tor0")), of(LinkCut("spine0", "rack1-tor0"))
    same = of(LinkDisturbed("rack0-tor0", "spine0", outgoing=Disturbance(loss=0.5)))
    assert cable == {("spine0", "rack0-tor0"), ("rack0-tor0", "spine0")}
    assert collide(cable, same)
    assert not collide(cable, other)
    assert collide(cable, of(RoutersOff(("spine0",))))
    assert collide(cable, of(RackOff(0)))
    assert not collide(cable, of(RackOff(1)))
    assert collide(cable, frozenset()), "what names nothing strikes everything"


def test_two_that_strike_the_same_at_once_are_refused_by_their_line(make_dc: MakeDataCenter) -> None:
    text = """faults:
  - {fault: routers-off, with: {routers: spine0}, for: 5s}
  - {fault: link-cut, with: {device: rack0-tor0, interface: spine0}, at: 4s, for: 5s}
"""
    with pytest.raises(
        InputError, match=r"it\.yml:3:5: faults\[1\]: link-cut at 4s is in effect together with"
    ) as caught:
        draw(make_dc(), text)
    assert "routers-off at 0s, and both strike the same" in str(caught.value)


def test_a_device_that_is_not_there_is_told_by_its_line(make_dc: MakeDataCenter) -> None:
    with pytest.raises(InputError, match=r"it\.yml:1:11: faults\[0\]: spine9: there is no such"):
        draw(make_dc(), "faults: [ {fault: routers-off, with: {routers: spine9}} ]\n")


def test_who_leads_is_found_out_when_it_breaks(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    planned = draw(dc, "faults: [ {fault: isolated, with: {server: leader, peers: rack0-cs0}} ]\n")
    assert planned[0].exactly is None
    (fault,) = play(dc, planned, chooser_of(dc, leader="rack2-cs0"))
    assert fault == Isolated("rack2-cs0", ("rack0-cs0",))
    assert {each.data["name"] for each in read(dc.recorder.path) if each.kind == "fault"} == {
        "rack2-cs0 cut off from rack0-cs0"
    }


def off(router: str, at: float, seconds: float) -> Planned:
    return Planned(kind="routers-off", exactly={"routers": [router]}, at=at, seconds=seconds)


def phases(dc: FakeDataCenter) -> list[str]:
    told = (each for each in read(dc.recorder.path) if each.kind == "fault")
    return [f"{each.data['name'].split()[0]} {each.data['phase']}" for each in told if each.data["phase"] != "bites"]


def test_faults_overlap_and_all_are_undone(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    said: list[str] = []
    play(dc, (off("spine0", 0, 5), off("rack0-tor0", 1, 1)), chooser_of(dc), said.append)
    assert phases(dc) == [
        "spine0 inject",
        "rack0-tor0 inject",
        "rack0-tor0 heal",
        "rack0-tor0 healed",
        "spine0 heal",
        "spine0 healed",
    ]
    assert differences(dc) == ()
    assert [line.split("  ")[-1] for line in said] == [
        "bites, for 5 s: spine0 off",
        "bites, for 1 s: rack0-tor0 off",
        "healed: rack0-tor0 off",
        "healed: spine0 off",
    ]


def test_what_strikes_the_same_waits_until_the_first_has_healed(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    play(dc, (off("spine0", 0, 5), off("spine0", 4.9, 1)), chooser_of(dc))
    assert phases(dc) == ["spine0 inject", "spine0 heal", "spine0 healed"] * 2


def test_where_one_does_not_bite_the_others_are_healed_and_the_rest_does_not_run(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    schedule = (off("spine0", 0, 9), off("rack0-tor0", 1, 1), off("rack1-tor0", 2, 1))
    said: list[str] = []

    def told(line: str) -> None:
        said.append(line)
        dc.world.lies = frozenset({Lie.FAULT_WITHOUT_EFFECT})

    with pytest.raises(HarnessTimeout, match="rack0-tor0 off to bite"):
        play(dc, schedule, chooser_of(dc), told)
    assert len(said) == 1
    assert dc.world.down == set()
    assert differences(dc) == ()


def test_one_that_does_not_heal_ends_the_schedule_and_the_others_are_healed(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    schedule = (off("spine0", 0, 9), off("rack0-tor0", 1, 1))

    def told(line: str) -> None:
        if "rack0-tor0" in line:
            dc.world.lies = frozenset({Lie.NEVER_HEALS})

    with pytest.raises(HealError) as caught:
        play(dc, schedule, chooser_of(dc), told)
    assert any("spine0 off was not healed" in note for note in caught.value.__notes__)
    assert dc.dirty() is not None


def test_what_cannot_be_offered_is_refused_before_anything_breaks(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    cut = Planned(kind="link-cut", exactly={"device": "spine0", "interface": "eth9"}, at=5, seconds=1)
    with pytest.raises(HostError, match="spine0 has no session over eth9"):
        play(dc, (off("spine0", 0, 1), cut), chooser_of(dc))
    assert phases(dc) == []
