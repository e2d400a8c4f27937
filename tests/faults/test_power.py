"""Faults of power: each is there, is undone, and is found out where it does neither."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.datacenter.api import Power
from vdc.datacenter.convergence import differences
from vdc.errors import HarnessTimeout, HealError, HostError, InputError
from vdc.faults import (
    BootStorm,
    Fault,
    Feed,
    FeedOff,
    NmiPanic,
    PowerFlap,
    RackOff,
    ServerCrash,
    ServerPaused,
    ServersOff,
    ServersReset,
    SiteDark,
    injected,
)
from vdc.faults.catalogue import from_record, parse, to_record
from vdc.faults.feeds import all_devices, fed_by
from vdc.faults.power import instants
from vdc.faults.selectors import Rack
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.shell import Completed
from vdc.testing import FakeDataCenter, Lie
from vdc.testing.devices import FakeMachine

MakeDataCenter = Callable[..., FakeDataCenter]

ALL_SERVERS = ("rack0-cs0", "rack1-cs0", "rack2-cs0")
STRUCK: dict[Fault, tuple[str, ...]] = {
    ServersOff(("rack0-cs0", "rack2-cs0")): ("rack0-cs0", "rack2-cs0"),
    RackOff(1): ("rack1-tor0", "rack1-tor1", "rack1-cs0"),
    FeedOff(0, Feed.A): ("rack0-tor0", "rack0-cs0"),
    FeedOff(0, Feed.B): ("rack0-tor1",),
    PowerFlap(("rack1-cs0",), times=4, within=1.0, seed=3): ("rack1-cs0",),
    ServerCrash("rack1-cs0"): ("rack1-cs0",),
    NmiPanic("rack1-cs0"): ("rack1-cs0",),
    ServerPaused("rack1-cs0"): ("rack1-cs0",),
    ServersReset(("rack0-cs0", "rack1-cs0")): ("rack0-cs0", "rack1-cs0"),
    BootStorm(): ALL_SERVERS,
}
"""Every fault of power but the one after which nobody is left to see it, and whom it strikes."""

every_fault = pytest.mark.parametrize("fault", [*STRUCK, SiteDark()], ids=lambda fault: fault.name.replace(" ", "-"))


@pytest.mark.parametrize("fault", STRUCK, ids=lambda fault: fault.name.replace(" ", "-"))
def test_those_struck_and_nobody_else_are_down_in_the_body(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
        assert dc.world.down == set(STRUCK[fault])
        assert differences(dc) != ()
    assert dc.world.down == set()
    assert differences(dc) == ()
    assert dc.dirty() is None


def test_in_a_dark_site_nothing_runs(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, SiteDark()):
        assert dc.world.down == {*dc.routers, *dc.servers}
    assert differences(dc) == ()


@every_fault
def test_the_body_never_runs_where_the_power_stays(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(dc, fault):
        raise AssertionError("the body ran")
    assert dc.dirty() is None


@every_fault
def test_power_that_does_not_come_back_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@every_fault
def test_boot_ids_tell_who_has_lost_memory(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    before = {name: machine.boot_id() for name, machine in dc.servers.items()}
    with injected(dc, fault):
        pass
    changed = {name for name, machine in dc.servers.items() if machine.boot_id() != before[name]}
    assert changed == set(fault.restarts(dc))
    struck = set(STRUCK.get(fault, ALL_SERVERS)) & set(dc.servers)
    assert changed == (set() if isinstance(fault, ServerPaused) else struck)


@every_fault
def test_it_comes_back_from_its_record(make_dc: MakeDataCenter, fault: Fault) -> None:
    assert from_record(to_record(fault), make_dc()) == fault


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (ServersOff(("rack0-cs0", "nobody")), "there is no nobody"),
        (ServersOff(()), "nothing to switch off"),
        (RackOff(9), "no rack 9; there are 0, 1, 2"),
        (ServerCrash("nobody"), "there is no server nobody"),
        (ServersReset(()), "there is no server to strike"),
    ],
)
def test_what_is_not_there_is_not_struck(make_dc: MakeDataCenter, fault: Fault, why: str) -> None:
    dc = make_dc()
    with pytest.raises(HostError, match=why), injected(dc, fault):
        raise AssertionError("the body ran")
    assert not dc.world.down


_BESIDE = (
    "name: x\nracks: [{count: 2, servers: {cs: 1}}]\nroles: {cs: {memory: 512MiB}}\n"
    "networks: {lab: {prefixes: [192.0.2.0/24]}}\nimages: {theirs: {file: theirs.img}}\n"
    "devices:\n  guest: {kind: server, server: {memory: 512MiB, image: theirs}, interfaces: [{network: lab}]}\n"
    "external: {clients: 0}\n"
)


@pytest.fixture
def beside(tmp_path: Path) -> FakeDataCenter:
    """With a guest of the user's own, and nobody outside."""
    (tmp_path / "x.yml").write_text(_BESIDE)
    return FakeDataCenter(expand(load(tmp_path / "x.yml")), tmp_path)


def test_a_site_that_nobody_sees_from_outside_does_not_go_dark(beside: FakeDataCenter) -> None:
    assert "no client outside" in str(SiteDark().missing(beside))


def test_a_guest_that_cannot_be_asked_is_not_struck_where_its_silence_is_the_proof(beside: FakeDataCenter) -> None:
    assert "nobody can ask it" in str(ServerPaused("guest").missing(beside))
    assert BootStorm().restarts(beside) == ("rack0-cs0", "rack1-cs0")


def test_feeds_take_every_other_device() -> None:
    rack = Rack(routers=("t0", "t1"), servers=("s0", "s1", "s2"))
    assert fed_by(rack, Feed.A) == ("t0", "s0", "s2")
    assert fed_by(rack, Feed.B) == ("t1", "s1")


@given(st.integers(0, 4), st.integers(0, 9))
def test_each_device_of_a_rack_hangs_on_one_feed(routers: int, servers: int) -> None:
    rack = Rack(
        routers=tuple(f"t{number}" for number in range(routers)),
        servers=tuple(f"s{number}" for number in range(servers)),
    )
    assert sorted((*fed_by(rack, Feed.A), *fed_by(rack, Feed.B))) == sorted(rack.devices)


def test_a_site_starts_from_the_outside_in(make_dc: MakeDataCenter) -> None:
    names = all_devices(make_dc().topology)
    assert names[0] == "border0"
    assert names[1:3] == ("spine0", "spine1")
    assert names[-3:] == ALL_SERVERS
    assert len(names) == len(set(names))


@given(st.integers(2, 20), st.floats(0.0, 60.0), st.integers())
def test_power_that_flaps_goes_once_more_than_it_comes_and_in_order(times: int, within: float, seed: int) -> None:
    found = instants(times, within, seed)
    assert len(found) == 2 * times - 1
    assert found[0] == 0.0
    assert found[-1] == within
    assert all(before <= after for before, after in itertools.pairwise(found))
    assert found == instants(times, within, seed)


def test_power_that_flaps_goes_and_comes_as_often_as_said(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    seen: list[Power] = []
    machine = dc.servers["rack0-cs0"]
    dc.world.observers.append(lambda: seen.append(machine.power()))
    with injected(dc, PowerFlap(("rack0-cs0",), times=3)):
        assert seen == [Power.OFF, Power.ON] * 2 + [Power.OFF]


@pytest.mark.parametrize("stays", [Power.OFF, Power.ON])
def test_power_that_does_not_go_or_come_each_time_does_not_flap(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch, stays: Power
) -> None:
    verb = "power_on" if stays is Power.OFF else "power_off"
    switch, pressed = getattr(FakeMachine, verb), []

    def sticks(machine: FakeMachine) -> None:
        pressed.append(verb)
        if len(pressed) != 2 or stays is Power.OFF:
            switch(machine)
        if stays is Power.OFF and len(pressed) == 1:
            machine.power_off()

    monkeypatch.setattr(FakeMachine, verb, sticks)
    dc = make_dc()
    with (
        pytest.raises(HarnessTimeout, match=f"flaps to bite.*rack0-cs0 is {stays}"),
        injected(dc, PowerFlap(("rack0-cs0",), times=3, within=0.1)),
    ):
        raise AssertionError("the body ran")
    assert dc.dirty() is None


@pytest.mark.parametrize("more", [{"times": 1}, {"within": 0.0}])
def test_power_that_does_not_flap_is_refused(more: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least twice"):
        PowerFlap(("a",), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", [ServerCrash("rack1-cs0"), NmiPanic("rack1-cs0")], ids=lambda fault: fault.name)
def test_a_server_that_lost_its_power_since_is_healed_too(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    dc = make_dc()
    reset = type(dc.servers["rack1-cs0"]).reset

    def button(machine: FakeMachine) -> None:
        assert machine.power() is not Power.OFF, "a button that does nothing"
        reset(machine)

    monkeypatch.setattr(FakeMachine, "reset", button)
    with injected(dc, fault):
        dc.servers["rack1-cs0"].power_off()
    assert dc.world.down == set()


def test_a_server_that_stood_still_has_the_time_again(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_dc()
    behind = [0.0]

    def date(_: str, argv: tuple[str, ...]) -> Completed:
        if "--set" in argv:
            behind[0] = 0.0
        return Completed(argv=argv, status=0, stdout="", stderr="")

    dc.world.programs["date"] = date
    monkeypatch.setattr(dc.world.inside, "ahead", lambda _: -behind[0])
    with injected(dc, ServerPaused("rack1-cs0")):
        behind[0] = 90.0
    assert behind == [0.0]
    dc.world.programs.pop("date")
    with (
        pytest.raises(HealError, match=r"the clock of rack1-cs0 is -90\.0 s ahead"),
        injected(dc, ServerPaused("rack1-cs0")),
    ):
        behind[0] = 90.0


def test_a_person_says_it_in_words(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    assert parse("feed-off", {"rack": "1", "feed": "b"}, dc) == FeedOff(1, Feed.B)
    assert parse("site-dark", {}, dc) == SiteDark()
    assert parse("power-flap", {"servers": "a,b", "times": "4", "within": "2.5"}, dc) == PowerFlap(("a", "b"), 4, 2.5)
    with pytest.raises(InputError, match="feed-off: feed"):
        parse("feed-off", {"rack": "1", "feed": "c"}, dc)
