"""Faults of disks: what the guest finds, whether it is well afterwards, and that a lie about either is found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vdc.datacenter.convergence import differences
from vdc.datacenter.disks import Loss, Operation, Trial
from vdc.errors import HarnessTimeout, HealError, HostError
from vdc.faults import (
    DiskDamaged,
    DiskErrors,
    DiskFull,
    DiskGone,
    DiskSlow,
    Fault,
    PowerLost,
    injected,
)
from vdc.faults.catalogue import from_record, parse, to_record
from vdc.history import read
from vdc.testing import FakeCluster, FakeDataCenter, Lie
from vdc.wait import NotYet

MakeDataCenter = Callable[..., FakeDataCenter]
SERVER = "rack1-cs0"

FAULTS: tuple[Fault, ...] = (
    DiskSlow(SERVER, operations=5),
    DiskErrors(SERVER, (Operation.READ,)),
    DiskErrors(SERVER, (Operation.WRITE, Operation.FLUSH)),
    DiskGone(SERVER),
    DiskFull(SERVER),
    DiskFull(SERVER, "root"),
    DiskDamaged(SERVER, "/data/file", sectors=3, seed=7),
    PowerLost(SERVER, seed=7),
)
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))


def ailments(dc: FakeDataCenter) -> list[object]:
    return [each for disk in dc.world.disks.values() for each in disk.values()]


@every_fault
def test_it_is_there_in_the_body_and_nothing_of_it_is_left(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
        assert ailments(dc) != [] or dc.world.down == {SERVER}
        assert (dc.leftovers() == ()) is (ailments(dc) == [])
    assert ailments(dc) == []
    assert dc.leftovers() == ()
    assert differences(dc) == ()
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_the_disk_is_well(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(dc, fault):
        raise AssertionError("the body ran")
    assert dc.dirty() is None


@every_fault
def test_a_disk_that_does_not_get_well_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@every_fault
def test_it_comes_back_from_its_record(make_dc: MakeDataCenter, fault: Fault) -> None:
    assert from_record(to_record(fault), make_dc()) == fault


@every_fault
def test_only_what_a_file_system_does_not_get_over_restarts_the_server(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    before = dc.servers[SERVER].boot_id()
    with injected(dc, fault):
        pass
    restarted = dc.servers[SERVER].boot_id() != before
    assert restarted is (fault.restarts(dc) == (SERVER,))
    assert restarted is isinstance(fault, (DiskErrors, DiskGone, PowerLost))


@pytest.mark.parametrize(
    "fault",
    [each for each in FAULTS[1:] if each != DiskFull(SERVER, "root")],
    ids=lambda fault: fault.name.replace(" ", "-"),
)
def test_a_member_whose_disk_takes_no_writes_does_not_serve(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    cluster = FakeCluster(dc)
    with injected(dc, fault):
        serving = {each.server for each in cluster.state() if each.healthy}
    readable = isinstance(fault, DiskDamaged) or (
        isinstance(fault, DiskErrors) and fault.operations == (Operation.READ,)
    )
    assert (SERVER in serving) is readable
    cluster.wait_serving()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (DiskFull("nobody"), "there is no server nobody"),
        (DiskSlow(SERVER, "root"), "on its root disk"),
    ],
)
def test_a_disk_that_cannot_be_struck_is_left_alone(make_dc: MakeDataCenter, fault: Fault, why: str) -> None:
    dc = make_dc()
    with pytest.raises(HostError, match=why), injected(dc, fault):
        raise AssertionError("the body ran")
    assert ailments(dc) == []


@pytest.mark.parametrize("operations", [0, 51])
def test_a_disk_that_nobody_could_tell_from_a_fast_one_is_refused(operations: int) -> None:
    with pytest.raises(ValueError, match="1 to 50"):
        DiskSlow(SERVER, operations=operations)


@pytest.mark.parametrize("operations", [(), (Operation.GROW,)])
def test_a_disk_that_fails_at_nothing_is_refused(operations: tuple[Operation, ...]) -> None:
    with pytest.raises(ValueError, match="some fail"):
        DiskErrors(SERVER, operations)


OTHERS = ("/dev/vdb is not mounted", "dd: failed to open: No such file or directory", "")


@pytest.mark.parametrize("error", OTHERS)
@pytest.mark.parametrize("fault", FAULTS[1:5], ids=lambda fault: fault.name.replace(" ", "-"))
def test_what_fails_for_another_reason_is_no_proof(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch, fault: Fault, error: str
) -> None:
    dc = make_dc()
    monkeypatch.setattr("vdc.testing.disks.FakeDisk.trial", lambda *_: Trial(seconds=0.1, error=error))
    fault.inject(dc)
    with pytest.raises(NotYet):
        fault.bites(dc)


def test_a_disk_that_is_slow_by_itself_is_no_proof(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc, fault = make_dc(), DiskSlow(SERVER)
    monkeypatch.setattr("vdc.testing.disks.FakeDisk.trial", lambda *_: Trial(seconds=9.0))
    with pytest.raises(NotYet, match="nothing slows disk data"):
        fault.bites(dc)
    with pytest.raises(HarnessTimeout, match="to be faster than it shall be"):
        fault.inject(dc)
    assert ailments(dc) == []


@pytest.mark.parametrize("operations", [1, 2, 50])
def test_a_disk_as_slow_as_can_be_is_measured_in_time(make_dc: MakeDataCenter, operations: int) -> None:
    dc = make_dc()
    with injected(dc, DiskSlow(SERVER, operations=operations)):
        pass
    told = [event.data["seconds"] for event in read(dc.recorder.path) if event.source == "disk"]
    assert max(told[1].values()) <= 4.0


def test_a_server_that_lost_its_power_since_gets_it_with_its_disk(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    monkeypatch.setattr("vdc.testing.devices.FakeMachine.reset", lambda _: pytest.fail("a button that does nothing"))
    with injected(dc, DiskErrors(SERVER, (Operation.READ,))):
        dc.servers[SERVER].power_off()
    assert dc.world.down == set()


def test_the_history_tells_what_a_loss_of_power_did_to_writes(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, PowerLost(SERVER)):
        pass
    told = [event.data for event in read(dc.recorder.path) if event.source == "disk"]
    assert told == [{"server": SERVER, "disk": "data", "kept": 1, "unflushed": 1, "lost": 1, "torn": 0}]


def test_power_that_went_when_all_was_flushed_proves_nothing(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()

    def cut_power(*_: object) -> Loss:
        dc.world.switch_off(SERVER)
        return Loss(kept=9, unflushed=0, lost=0, torn=0)

    monkeypatch.setattr("vdc.testing.disks.FakeDisk.cut_power", cut_power)
    with pytest.raises(HarnessTimeout, match="9 writes, and all were flushed"), injected(dc, PowerLost(SERVER)):
        raise AssertionError("the body ran")
    assert dc.world.down == set()
    assert dc.dirty() is None


def test_a_person_says_it_in_words(make_dc: MakeDataCenter) -> None:
    def chosen(field: str, text: str) -> tuple[str, ...]:
        assert field == "server", "taken for a selector"
        return (text,)

    words = {"server": "a", "disk": "data", "operations": "write,flush"}
    fault = parse("disk-errors", words, make_dc(), chosen)
    assert fault == DiskErrors("a", (Operation.WRITE, Operation.FLUSH))
    words = {"server": "a", "file": "/data/a", "sectors": "2", "seed": "9"}
    assert parse("disk-damaged", words, make_dc(), chosen) == DiskDamaged("a", "/data/a", 2, 9)


def test_the_history_tells_how_slow_a_slow_disk_is(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, DiskSlow(SERVER, operations=8)):
        pass
    told = [event.data["seconds"] for event in read(dc.recorder.path) if event.source == "disk"]
    assert told == [{"write": each, "read": each} for each in (0.016, 2.0, 0.016)]
