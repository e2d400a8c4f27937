"""Faults inside a real guest: seen from outside, healed without a trace, and by their lease where the harness dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from tests.host.test_faults import kill, start_harness
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
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
from vdc.faults.inside import Unit
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

ONE = Path(__file__).with_name("one.yml")
NAME, SERVER, BIRD, LOGIND = "t-within", "rack0-cs0", Unit("bird"), Unit("systemd-logind")

FAULTS: dict[str, Fault] = {
    "stopped": ServiceStopped(SERVER, BIRD),
    "frozen": ServiceFrozen(SERVER, BIRD),
    "killed": ServiceKilled(SERVER, LOGIND),
    "storm": RestartStorm(SERVER, BIRD, 2),
    "memory": MemoryPressure(SERVER, 64),
    "forks": ForksExhausted(SERVER, LOGIND),
    "files": FilesExhausted(SERVER, LOGIND),
    "step": ClockStepped(SERVER, 3600),
    "step back": ClockStepped(SERVER, -600),
    "skew": ClockSkewed(SERVER, 100_000),
    "cpu": CpuStolen(SERVER, 80),
}
LEASED = ("frozen", "step", "cpu")


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(ONE), "--name", NAME, timeout=900)
    yield lifecycle.attach(NAME, settings, Steps())
    lifecycle.down(NAME, settings, Steps())
    assert traces(NAME, settings) == []


def left(dc: LiveDataCenter) -> list[str]:
    """Return what a fault has left: in the guest, on the host, and leases."""
    script = (
        "ls /run/vdc-faults 2>/dev/null\n"
        "systemctl list-units --all --no-legend 'vdc-fault-*'\n"
        "ls -d /run/systemd/system.control/*.d 2>/dev/null || :\n"
    )
    found = dc.servers[SERVER].run(["sh", "-s"], stdin=script).stdout.splitlines()
    held = [str(path) for path in (dc.run_directory / "leases").glob("*.json")]
    return [*found, *held, *dc.leftovers()]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_it_bites_heals_and_leaves_nothing(one: LiveDataCenter, fault: Fault) -> None:
    lacks = fault.missing(one)
    if lacks is not None and isinstance(fault, CpuStolen):
        pytest.skip(lacks)
    with injected(one, fault):
        assert left(one) != []
    assert left(one) == []
    assert one.dirty() is None


@pytest.mark.parametrize("name", LEASED)
def test_it_is_healed_by_its_lease_where_the_harness_is_killed(one: LiveDataCenter, name: str, tmp_path: Path) -> None:
    harness = start_harness(one, FAULTS[name], 600.0, tmp_path / "log")
    kill(harness)

    def clean() -> None:
        if found := left(one):
            raise NotYet(", ".join(found))

    wait_for(clean, what="the lease to heal it", timeout=120, interval=1.0)
    wait_converged(one)
    assert one.dirty() is None
