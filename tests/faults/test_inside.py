"""Faults inside servers: each bites, is undone, and is found out where it does neither."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.errors import HarnessTimeout, HealError, HostError
from vdc.faults import (
    ClockSkewed,
    ClockStepped,
    CpuStolen,
    Fault,
    FilesExhausted,
    ForksExhausted,
    MemoryPressure,
    RestartStorm,
    ServiceFrozen,
    ServiceKilled,
    ServiceStopped,
    injected,
)
from vdc.faults.catalogue import from_record, parse, to_record
from vdc.faults.clocks import Look, rate
from vdc.faults.inside import Inside, Unit, asking, beginning, ending, looking
from vdc.history import read
from vdc.host.cpu import Controller
from vdc.shell import run
from vdc.testing import FakeCluster, FakeDataCenter, Lie
from vdc.wait import NotYet

MakeDataCenter = Callable[..., FakeDataCenter]
GOLDEN = Path(__file__).parents[1] / "golden" / "faults"

BIRD, ETCD, SSH = Unit("bird"), Unit("vdc-etcd.service"), Unit("ssh")
INSIDE: tuple[Inside, ...] = (
    ServiceStopped("rack0-cs0", BIRD),
    ServiceStopped("rack0-cs0", ETCD),
    ServiceFrozen("rack1-cs0", BIRD),
    ServiceFrozen("rack1-cs0", SSH),
    ServiceKilled("rack1-cs0", ETCD),
    RestartStorm("rack1-cs0", SSH, 5),
    MemoryPressure("rack0-cs0"),
    ForksExhausted("rack0-cs0", ETCD),
    FilesExhausted("rack0-cs0", ETCD),
    ClockStepped("rack2-cs0", 3600),
    ClockStepped("rack2-cs0", -90),
    ClockSkewed("rack2-cs0", -50_000),
)
FAULTS: tuple[Fault, ...] = (*INSIDE, CpuStolen("rack0-cs0", 75))


@pytest.fixture
def make_dc(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> MakeDataCenter:
    """Make data centres in which time passes only where a server sleeps: clocks are compared to the microsecond."""
    now = [1.7e9]

    def passes(seconds: float) -> None:
        now[0] += seconds

    def make(*lies: Lie) -> FakeDataCenter:
        dc = make_dc(*lies)
        dc.world.inside.passes = passes
        return dc

    monkeypatch.setattr("time.time", lambda: now[0])
    return make


def _id(fault: Fault) -> str:
    return fault.name.replace(" ", "-")


every_fault = pytest.mark.parametrize("fault", FAULTS, ids=_id)


@every_fault
def test_a_fault_is_there_in_the_body_and_gone_after_it(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
    told = [event.data["phase"] for event in read(dc.recorder.path) if event.kind == "fault"]
    assert told == ["inject", "bites", "heal", "healed"]
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_a_fault_does_not_bite(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(dc, fault):
        raise AssertionError("the body ran")
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_nothing_was_injected(
    make_dc: MakeDataCenter, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(fault), "inject", lambda *_: None)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(make_dc(), fault):
        raise AssertionError("the body ran")


@every_fault
def test_a_fault_that_cannot_be_healed_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@pytest.mark.parametrize("fault", [ServiceKilled("rack0-cs0", SSH), RestartStorm("rack0-cs0", SSH)], ids=_id)
def test_a_service_that_does_not_come_back_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with pytest.raises(HealError, match="ssh of rack0-cs0 is inactive"), injected(dc, fault):
        dc.world.inside.told[fault.kind] = ("ActiveState=inactive\n", "")  # type: ignore[attr-defined]


@every_fault
def test_a_fault_comes_back_from_its_record(make_dc: MakeDataCenter, fault: Fault) -> None:
    assert from_record(to_record(fault), make_dc()) == fault


def test_what_a_silent_service_does_is_seen_by_others(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    cluster = FakeCluster(dc)
    with injected(dc, ServiceFrozen("rack0-cs0", ETCD)):
        assert [each.healthy for each in cluster.state()] == [False, True, True]
    with injected(dc, ServiceStopped("rack0-cs0", BIRD)):
        assert "Connect" in {each.bgp for each in dc.routers["rack0-tor0"].sessions()}


def test_a_frozen_daemon_that_its_neighbours_still_hear_does_not_bite(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    monkeypatch.setattr(dc.world.inside, "without", lambda _: frozenset())
    with (
        pytest.raises(HarnessTimeout, match="session with rack0-cs0 is still Established"),
        injected(dc, ServiceFrozen("rack0-cs0", BIRD)),
    ):
        raise AssertionError("the body ran")


def test_a_member_that_clients_still_reach_does_not_bite(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    monkeypatch.setattr("vdc.faults.processes.deployed", lambda _: (FakeCluster(dc),))
    with injected(dc, ServiceFrozen("rack0-cs0", ETCD)):
        pass
    monkeypatch.setattr(dc.world.inside, "without", lambda _: frozenset())
    with (
        pytest.raises(HarnessTimeout, match="the member on rack0-cs0 is healthy"),
        injected(dc, ServiceFrozen("rack0-cs0", ETCD)),
    ):
        raise AssertionError("the body ran")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (ServiceStopped("spine0", SSH), "there is no server spine0"),
        (MemoryPressure("rack9-cs0"), "there is no server rack9-cs0"),
        (MemoryPressure("rack0-cs0", 4096), "too little memory"),
        (ServiceFrozen("rack0-cs0", Unit("qemu-guest-agent.service")), "goes through its qemu-guest-agent"),
        (CpuStolen("rack9-cs0"), "there is no server rack9-cs0"),
    ],
)
def test_what_cannot_be_is_not_injected(make_dc: MakeDataCenter, fault: Fault, why: str) -> None:
    with pytest.raises(HostError, match=why), injected(make_dc(), fault):
        raise AssertionError("the body ran")


def test_a_service_that_is_not_there_is_not_struck(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.faults.inside.OfUnit._said", lambda *_: "not-found")
    with (
        pytest.raises(HostError, match="rack0-cs0 has no service ssh"),
        injected(make_dc(), ServiceKilled("rack0-cs0", SSH)),
    ):
        raise AssertionError("the body ran")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClockStepped("a", 9),
        lambda: ClockSkewed("a", 100),
        lambda: ClockSkewed("a", 50_001),
        lambda: CpuStolen("a", 20),
        lambda: RestartStorm("a", SSH, 0),
        lambda: MemoryPressure("a", 0),
    ],
)
def test_what_nobody_could_tell_is_refused(make: Callable[[], Fault]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


@pytest.mark.parametrize(
    ("kind", "words", "fault"),
    [
        ("service-killed", {"server": "a", "unit": "vdc-etcd.service"}, ServiceKilled("a", ETCD)),
        ("restart-storm", {"server": "a", "unit": "ssh", "times": "4"}, RestartStorm("a", SSH, 4)),
        ("clock-stepped", {"server": "a", "seconds": "-60"}, ClockStepped("a", -60)),
        ("cpu-stolen", {"server": "a"}, CpuStolen("a")),
    ],
)
def test_a_person_says_it_in_words(make_dc: MakeDataCenter, kind: str, words: dict[str, str], fault: Fault) -> None:
    assert parse(kind, words, make_dc()) == fault


@pytest.mark.parametrize("fault", INSIDE, ids=_id)
def test_the_scripts_are_as_they_were_read(
    fault: Inside, make_dc: MakeDataCenter, golden: Golden, tmp_path: Path
) -> None:
    dc = make_dc()
    scripts = (
        beginning(fault.kind, "KEY", fault.begins(dc), fault.ends(), 5400.0),
        ending(fault.kind, "KEY"),
        asking(fault.kind, "KEY", fault.asks(dc)),
    )
    golden(GOLDEN / f"{_id(fault)}.sh", "\n".join(scripts))
    for number, script in enumerate(scripts):
        path = tmp_path / f"{number}.sh"
        path.write_text(script)
        run(["sh", "-n", str(path)], timeout=10)
    for number, part in enumerate((fault.begins(dc), fault.ends())):
        path = tmp_path / f"part{number}.sh"
        path.write_text(part)
        run(["sh", "-n", str(path)], timeout=10)


@pytest.mark.parametrize("fault", INSIDE, ids=_id)
def test_a_fault_that_ends_in_the_body_is_found_out(make_dc: MakeDataCenter, fault: Inside) -> None:
    dc = make_dc()
    with pytest.raises(HarnessTimeout, match="it ended by itself"), injected(dc, fault):
        dc.world.inside.told["look"] = ("ended\n", "ended\n")
    assert dc.dirty() is None


def test_whether_a_fault_ended_is_told_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.faults.inside.FOLDER", str(tmp_path))

    def looked() -> str:
        return run(["sh", "-s"], stdin=looking("forks", "KEY"), timeout=10).stdout

    assert looked() == "", "it was never begun since the boot"
    (tmp_path / "KEY.end").touch()
    assert looked() == "ended\n"
    (tmp_path / "KEY.on").touch()
    assert looked() == ""


def test_who_is_not_among_the_processes_of_a_service_proves_nothing(make_dc: MakeDataCenter) -> None:
    with pytest.raises(NotYet, match="nobody could get among the processes of vdc-etcd"):
        ForksExhausted("rack0-cs0", ETCD).expect(make_dc(), {"forked": "no"}, broken=True)


def test_a_server_that_has_little_though_nobody_keeps_it_from_more_proves_nothing(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    monkeypatch.setattr(dc.world.inside, "throttled", lambda *_: 7)
    with (
        pytest.raises(HarnessTimeout, match="the host kept none from it"),
        injected(dc, CpuStolen("rack0-cs0", 75)),
    ):
        raise AssertionError("the body ran")


def test_a_server_that_waits_for_other_work_of_its_host_has_its_cpu_back(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, CpuStolen("rack0-cs0", 50)):
        dc.world.inside.others = 0.55
    assert dc.dirty() is None


def test_a_server_that_is_idle_though_nobody_else_has_its_cpu_proves_nothing(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    fault = CpuStolen("rack0-cs0", 50)
    with injected(dc, fault):
        pass
    monkeypatch.setattr(dc.world.inside, "cpu_seconds", lambda *_: 0.5 * time.monotonic())
    with pytest.raises(NotYet, match=r"CPUs and waited for 0\.00, expected 0\.70 together"):
        fault.healed(dc)


def test_how_often_processes_were_kept_from_having_more(tmp_path: Path) -> None:
    found = Controller(mount=tmp_path, unified=True)
    assert found.throttled("vdc-a-KEY") == 0
    (tmp_path / "vdc-a-KEY=%2F").mkdir()
    (tmp_path / "vdc-a-KEY=%2F" / "cpu.stat").write_text("nr_periods 9\nnr_throttled 4\nthrottled_usec 70\n")
    assert found.throttled("vdc-a-KEY") == 4


def test_how_fast_a_clock_goes_is_told_with_what_is_unsure() -> None:
    fast, unsure = rate(Look(at=0.0, told=5.0, unsure=0.1), Look(at=10.0, told=16.0, unsure=0.1))
    assert (round(fast, 6), round(unsure, 6)) == (0.1, 0.02)
    assert Look(at=1.0, told=3.5, unsure=0.0).ahead == 2.5
