"""Every kind of fault that one real guest can have, where it was sabotaged and where its harness is killed.

That each bites and heals is in `test_guest_faults` and `test_struck_guest`, but for those of power that are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import Command
from tests.host.test_faults import kill, start_harness
from tests.host.test_power_faults import wait_let_go
from vdc.datacenter import lifecycle
from vdc.datacenter.api import Power
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.disks import Operation
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import HarnessTimeout
from vdc.faults import (
    BootStorm,
    ClockSkewed,
    ClockStepped,
    CpuStolen,
    DiskDamaged,
    DiskErrors,
    DiskFull,
    DiskGone,
    DiskSlow,
    Fault,
    FilesExhausted,
    ForksExhausted,
    LinkCut,
    LinkDisturbed,
    MemoryPressure,
    NmiPanic,
    PowerFlap,
    PowerLost,
    RestartStorm,
    ServerCrash,
    ServerPaused,
    ServersOff,
    ServersReset,
    ServiceFrozen,
    ServiceKilled,
    ServiceStopped,
    injected,
)
from vdc.faults.inside import Unit
from vdc.faults.leftovers import expect_nothing_left
from vdc.history import read
from vdc.model.disturbance import Disturbance
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet

NAME, SERVER, BIRD, LOGIND = "t-every", "rack0-cs0", Unit("bird"), Unit("systemd-logind")
FILE = "/data/struck"

POWER: dict[str, Fault] = {
    "off": ServersOff((SERVER,)),
    "flapping": PowerFlap((SERVER,), times=3, within=6.0, seed=1),
}
RUNNING: dict[str, Fault] = {
    "service stopped": ServiceStopped(SERVER, BIRD),
    "service frozen": ServiceFrozen(SERVER, LOGIND),
    "service killed": ServiceKilled(SERVER, LOGIND),
    "restart storm": RestartStorm(SERVER, LOGIND, 2),
    "memory": MemoryPressure(SERVER, 64),
    "forks": ForksExhausted(SERVER, LOGIND),
    "files": FilesExhausted(SERVER, LOGIND),
    "clock stepped": ClockStepped(SERVER, -600),
    "clock skewed": ClockSkewed(SERVER, 100_000),
    "cpu stolen": CpuStolen(SERVER, 80),
    "disk slow": DiskSlow(SERVER, operations=10),
    "disk full": DiskFull(SERVER),
    "disk damaged": DiskDamaged(SERVER, FILE),
    "paused": ServerPaused(SERVER),
    "cable cut": LinkCut(SERVER, "eth0"),
    "cable lossy": LinkDisturbed(SERVER, "eth0", outgoing=Disturbance(loss=0.2)),
}
"""Those that a guest gets over without a restart."""
RESTARTING: dict[str, Fault] = {
    **POWER,
    "reset": ServersReset((SERVER,)),
    "crash": ServerCrash(SERVER),
    "NMI": NmiPanic(SERVER),
    "boot storm": BootStorm(),
    "power lost": PowerLost(SERVER),
    "disk errors": DiskErrors(SERVER, (Operation.WRITE, Operation.FLUSH)),
    "disk gone": DiskGone(SERVER),
}
EVERY = {**RUNNING, **RESTARTING}
KNOWN_ELSEWHERE = frozenset({"paused", "power lost", "disk damaged", "clock stepped", "service frozen", "cpu stolen"})
"""Those whose leases other tests of this folder try."""


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(Path(__file__).with_name("one.yml")), "--name", NAME, timeout=900)
    dc = lifecycle.attach(NAME, settings, Steps())
    dc.servers[SERVER].run(["sh", "-s"], stdin=f"head -c 99999 /dev/urandom > {FILE}; sync {FILE}")
    yield dc
    lifecycle.down(NAME, settings, Steps())


def expect_offered(dc: LiveDataCenter, fault: Fault) -> None:
    lacks = fault.missing(dc)
    if lacks is not None and isinstance(fault, CpuStolen):
        pytest.skip(lacks)
    assert lacks is None


@pytest.mark.parametrize("name", EVERY)
def test_one_that_was_never_injected_is_seen_not_to_bite(one: LiveDataCenter, name: str) -> None:
    expect_offered(one, EVERY[name])
    with pytest.raises(NotYet):
        EVERY[name].bites(one)


def test_the_body_never_runs_where_the_injection_was_sabotaged(
    one: LiveDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServiceStopped, "inject", lambda *_: None)
    monkeypatch.setattr(ServiceStopped, "bite_seconds", 2.0)
    with pytest.raises(HarnessTimeout, match="to bite"), injected(one, ServiceStopped(SERVER, BIRD)):
        raise AssertionError("the body ran")
    assert one.dirty() is None


@pytest.mark.parametrize("name", POWER)
def test_the_power_of_a_server_goes_and_comes_back(one: LiveDataCenter, name: str) -> None:
    before, known = one.servers[SERVER].boot_id(), len(list(read(one.recorder.path)))
    with injected(one, POWER[name]):
        assert one.servers[SERVER].power() is Power.OFF
    wait_converged(one)
    assert one.servers[SERVER].boot_id() != before
    told = [each for each in list(read(one.recorder.path))[known:] if each.kind == "power"]
    assert sum(each.data["action"] == "off" for each in told) == (3 if name == "flapping" else 1)
    expect_nothing_left(one)
    assert one.dirty() is None


@pytest.mark.parametrize("name", [name for name in EVERY if name not in KNOWN_ELSEWHERE])
def test_it_is_healed_by_its_lease_where_the_harness_is_killed(one: LiveDataCenter, tmp_path: Path, name: str) -> None:
    expect_offered(one, EVERY[name])
    kill(start_harness(one, EVERY[name], 600.0, tmp_path / "log"))
    wait_let_go(one)
    wait_converged(one)
    phases = [each.data["phase"] for each in read(one.recorder.path) if each.kind == "fault"]
    assert phases[-4:] == ["inject", "bites", "heal", "healed"]
    expect_nothing_left(one)
    assert one.dirty() is None
