"""Disturbed cables: proven by numbered packets, in both directions; and the judge of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.errors import HealError, HostError, WaitTimeout
from vdc.faults import Fault, LinkDisturbed, LinkOneWay, injected
from vdc.faults.judging import contradictions, salvos
from vdc.model.disturbance import LEAST_SHARE, UNDISTURBED, Disturbance
from vdc.model.flight import Flight
from vdc.model.topology import Impairment
from vdc.testing import FakeDataCenter, Lie
from vdc.testing.wires import fly

MakeDataCenter = Callable[..., FakeDataCenter]

KINDS = {
    "delay": Disturbance(delay=0.1),
    "jitter": Disturbance(delay=0.05, jitter=0.02),
    "loss": Disturbance(loss=0.1),
    "nothing comes": Disturbance(loss=1.0),
    "reorder": Disturbance(reorder=0.1),
    "duplicate": Disturbance(duplicate=0.1),
    "corrupt": Disturbance(corrupt=0.1),
    "rate": Disturbance(rate=10_000_000),
    "mtu": Disturbance(mtu=1000),
    "combined": Disturbance(delay=0.03, loss=0.05, rate=20_000_000),
}
every_kind = pytest.mark.parametrize("what", KINDS.values(), ids=KINDS)
FAULTS = [
    *(LinkDisturbed("rack0-tor0", "spine0", outgoing=what, incoming=what) for what in KINDS.values()),
    LinkDisturbed("rack0-cs0", "eth0", incoming=Disturbance(loss=0.2)),
    LinkDisturbed("rack0-cs0", "eth0", outgoing=Disturbance(delay=0.2), incoming=Disturbance(loss=0.2)),
    LinkOneWay("spine0", "rack0-tor0"),
]
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)

disturbances = st.builds(
    lambda twist, **rest: Disturbance(**twist, **rest),
    twist=st.sampled_from(({}, {"duplicate": 0.01}, {"duplicate": 0.3}, {"corrupt": 0.01}, {"corrupt": 0.3})),
    delay=st.sampled_from((0.0, 0.1, 1.0)),
    loss=st.sampled_from((0.0, LEAST_SHARE, 0.5, 1.0)),
    rate=st.sampled_from((0, 1_000_000, 50_000_000)),
    mtu=st.sampled_from((0, 600, 1400)),
)


def flown(what: Disturbance, asked: Disturbance | None = None) -> dict[str, Flight]:
    return {name: fly(salvo, what) for name, salvo in salvos(asked or what, asked or what, 1500).items()}


@every_fault
def test_packets_show_it_in_the_body_and_come_as_they_were_sent_after_it(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
    fault.healed(dc)
    assert not any(dc.world.wires.values())


@every_fault
def test_the_body_never_runs_where_no_packet_is_disturbed(make_dc: MakeDataCenter, fault: Fault) -> None:
    with pytest.raises(WaitTimeout, match="to bite"), injected(make_dc(Lie.FAULT_WITHOUT_EFFECT), fault):
        raise AssertionError("the body ran")


@every_fault
def test_one_that_stays_disturbed_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@every_kind
def test_what_is_asked_and_nothing_else_is_no_contradiction(what: Disturbance) -> None:
    assert list(contradictions(what, flown(what))) == []
    assert list(contradictions(UNDISTURBED, flown(UNDISTURBED, what), was=what)) == []


@every_kind
def test_a_wire_that_does_nothing_contradicts_each(what: Disturbance) -> None:
    assert list(contradictions(what, flown(UNDISTURBED, what))) != []


@every_kind
def test_a_wire_that_still_does_it_contradicts_its_heal(what: Disturbance) -> None:
    assert list(contradictions(UNDISTURBED, flown(what), was=what)) != []


@pytest.mark.parametrize("extra", ["loss", "duplicate", "corrupt", "reorder"])
def test_what_nobody_asked_for_is_a_contradiction(extra: str) -> None:
    what = Disturbance(delay=0.1)
    more: dict[str, Any] = {extra: 0.2}
    assert list(contradictions(what, flown(replace(what, **more), what))) != []


@settings(deadline=None, max_examples=40)
@given(what=disturbances)
def test_an_exact_wire_is_never_contradicted(what: Disturbance) -> None:
    assert list(contradictions(what, flown(what))) == []


@settings(deadline=None, max_examples=40)
@given(what=disturbances.filter(bool))
def test_an_idle_wire_is_always_contradicted(what: Disturbance) -> None:
    assert list(contradictions(what, flown(UNDISTURBED, what))) != []


def test_what_a_guest_got_changed_is_lost_since_it_does_not_answer() -> None:
    what = Disturbance(corrupt=0.5)
    seen = {name: replace(flight, echoed=True) for name, flight in flown(Disturbance(loss=0.5), what).items()}
    assert list(contradictions(what, seen)) == []
    assert list(contradictions(what, flown(Disturbance(loss=0.5), what))) != []


def test_a_wire_over_which_nothing_set_out_proves_nothing() -> None:
    what = Disturbance(loss=1.0)
    nothing = {"plain": Flight(sent=0, size=100, arrivals=())}
    assert "no packet set out" in list(contradictions(what, nothing))
    assert list(contradictions(what, nothing, unasked=True)) == []
    assert list(contradictions(what, flown(UNDISTURBED, what), unasked=True)) != []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"loss": 0.001}, "loss must be from 0.5% to 100%"),
        ({"duplicate": 1.5}, "duplicate must be"),
        ({"delay": 0.001}, "at least 5 ms"),
        ({"delay": 0.1, "jitter": 0.2}, "at most the delay"),
        ({"rate": 10}, "rate must be from 100 kbit"),
        ({"mtu": 100}, "at least 576"),
        ({"duplicate": 0.1, "corrupt": 0.1}, "could not be told"),
    ],
)
def test_what_nobody_could_prove_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Disturbance(**wrong)


def test_a_fault_that_does_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is done"):
        LinkDisturbed("spine0", "rack0-tor0")


def test_an_mtu_that_the_cable_never_reaches_is_missing(make_dc: MakeDataCenter) -> None:
    fault = LinkDisturbed("spine0", "rack0-tor0", outgoing=Disturbance(mtu=9000))
    with pytest.raises(HostError, match="no packets of more than 1500 B"), injected(make_dc(), fault):
        raise AssertionError("the body ran")


def test_a_cable_that_the_topology_impairs_is_missing(make_dc: MakeDataCenter, tmp_path: Path) -> None:
    sound = make_dc().topology
    slow = Impairment(delay=0.05)
    place = ("spine0", "rack0-tor0")
    links = tuple(
        replace(link, to_b=slow) if place in {(e.device, e.interface) for e in (link.a, link.b)} else link
        for link in sound.links
    )
    dc = FakeDataCenter(replace(sound, links=links), tmp_path / "impaired")
    fault = LinkDisturbed(*place, outgoing=Disturbance(loss=0.2))
    assert "impairs this cable already" in (fault.missing(dc) or "")
    assert fault.missing(make_dc()) is None
    server = sound.server("rack0-cs0")
    ports = tuple(replace(port, ingress=slow) for port in server.ports)
    servers = tuple(replace(each, ports=ports) if each is server else each for each in sound.servers)
    dc = FakeDataCenter(replace(sound, servers=servers), tmp_path / "guest")
    assert "impairs" in (LinkDisturbed("rack0-cs0", "eth0", incoming=Disturbance(loss=0.2)).missing(dc) or "")


def test_a_slow_guest_may_answer_later() -> None:
    late = flown(Disturbance(delay=0.03), UNDISTURBED)
    assert list(contradictions(UNDISTURBED, late)) != []
    assert list(contradictions(UNDISTURBED, late, slack=0.04)) == []


def test_names_tell_the_direction_only_where_it_is_one() -> None:
    slow = Disturbance(delay=0.1, rate=10_000_000, corrupt=0.02, mtu=1400)
    assert LinkDisturbed("a", "b", outgoing=slow, incoming=slow).name == (
        "a b: delay 100 ms, corrupt 2 %, rate 10 Mbit, packets of more than 1400 B vanish"
    )
    assert LinkOneWay("a", "b").name == "a b: outgoing loss 100 %"
    both = LinkDisturbed("a", "b", outgoing=Disturbance(loss=0.1), incoming=Disturbance(delay=0.1, jitter=0.02))
    assert both.name == "a b: outgoing loss 10 %; incoming delay 100 ms, jitter 20 ms"
