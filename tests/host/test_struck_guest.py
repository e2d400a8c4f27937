"""Faults of the disk and of the power of a real guest; what becomes of its disk is measured in it.

Those that restart it come last: each costs a boot.
"""

from __future__ import annotations

import re
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
from vdc.datacenter.machine import LiveMachine
from vdc.errors import CommandError
from vdc.faults import (
    BootStorm,
    DiskDamaged,
    DiskErrors,
    DiskFull,
    DiskGone,
    DiskSlow,
    Fault,
    NmiPanic,
    PowerLost,
    ServerPaused,
    SiteDark,
    injected,
)
from vdc.history import read
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

NAME = "t-struck"
SERVER = "rack0-cs0"


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(Path(__file__).with_name("one.yml")), "--name", NAME, timeout=900)
    yield lifecycle.attach(NAME, settings, Steps())
    lifecycle.down(NAME, settings, Steps())


@pytest.fixture
def server(one: LiveDataCenter) -> Iterator[LiveMachine]:
    """A server on which nothing is left of faults after the test."""
    found = one.servers[SERVER]
    yield found
    assert ".vdc-" not in shell(found, "ls -A /data"), "a file of faults is left in the guest"
    wait_for(lambda: expect_nothing_left(one), what="nothing to be left of faults", timeout=60)
    assert one.dirty() is None


def expect_nothing_left(dc: LiveDataCenter) -> None:
    if found := dc.leftovers():
        raise NotYet(str(found))


def shell(server: LiveMachine, script: str) -> str:
    return server.run(["sh", "-e", "-s"], stdin=script).stdout.strip()


def test_a_slow_disk_is_as_slow_as_was_asked_for(
    one: LiveDataCenter, server: LiveMachine, request: pytest.FixtureRequest
) -> None:
    disk, seen = server.disk("data"), []
    shell(server, "dd if=/dev/zero of=/data/.vdc-trial bs=4096 count=64 conv=fsync")
    seen.append(disk.trial(Operation.WRITE, 16).seconds)
    with injected(one, DiskSlow(SERVER, operations=10)):
        seen.append(disk.trial(Operation.WRITE, 16).seconds)
    seen.append(disk.trial(Operation.WRITE, 16).seconds)
    request.node.user_properties.append(("seconds for 16 direct writes before, at 10 a second, and after", seen))
    assert seen[0] < 0.7
    assert 1.3 <= seen[1] < 3.0
    assert seen[2] < 0.7
    server.disk("data").tidy("")


def test_a_full_disk_is_full_and_has_room_again(one: LiveDataCenter, server: LiveMachine) -> None:
    free = "stat -f -c %a /data"
    before = int(shell(server, free))
    with injected(one, DiskFull(SERVER)):
        assert int(shell(server, free)) == 0
        with pytest.raises(CommandError, match="No space left"):
            shell(server, "dd if=/dev/zero of=/data/more bs=4096 count=1 conv=fsync")
    shell(server, "rm -f /data/more")
    assert int(shell(server, free)) > 0.99 * before


def test_damaged_bits_are_read_and_are_right_again(one: LiveDataCenter, server: LiveMachine) -> None:
    shell(server, "dd if=/dev/urandom of=/data/file bs=4096 count=16 conv=fsync")
    before = shell(server, "sha256sum /data/file")
    with injected(one, DiskDamaged(SERVER, "/data/file", sectors=4, seed=3)):
        assert shell(server, "sha256sum /data/file") != before
        assert server.disk("data").damaged(DiskDamaged(SERVER, "/data/file", sectors=4, seed=3).key) == 4
    assert shell(server, "sha256sum /data/file") == before


POWER = {"paused": ServerPaused(SERVER), "NMI": NmiPanic(SERVER), "storm": BootStorm()}


@pytest.mark.parametrize("fault", POWER.values(), ids=POWER)
def test_it_is_silent_and_comes_back(one: LiveDataCenter, server: LiveMachine, fault: Fault) -> None:
    before = server.boot_id()
    with injected(one, fault):
        assert server.power() is not Power.ON
    assert (server.boot_id() != before) is (SERVER in fault.restarts(one))
    wait_converged(one)


def test_only_those_operations_fail_that_shall(one: LiveDataCenter, server: LiveMachine) -> None:
    failing = (Operation.WRITE, Operation.FLUSH)
    with injected(one, DiskErrors(SERVER, failing)):
        for operation in failing:
            assert re.search("Input/output error|Read-only", server.disk("data").trial(operation).error)
        assert server.disk("data").trial(Operation.READ).error == ""
    wait_converged(one)


def test_a_disk_that_is_pulled_out_is_gone_and_comes_back(one: LiveDataCenter, server: LiveMachine) -> None:
    shell(server, "echo kept > /data/kept; sync /data/kept")
    with injected(one, DiskGone(SERVER)):
        assert "there is no disk data" in server.disk("data").trial(Operation.READ).error
    assert shell(server, "cat /data/kept") == "kept"


def test_a_loss_of_power_takes_what_was_not_flushed_and_nothing_else(
    one: LiveDataCenter, server: LiveMachine, request: pytest.FixtureRequest
) -> None:
    shell(server, "echo safe > /data/safe; sync /data/safe")
    with injected(one, PowerLost(SERVER, seed=5)):
        pass
    told = [each.data for each in read(one.recorder.path) if each.source == "disk"][-1]
    request.node.user_properties.append(("what came of the writes", told))
    assert told["lost"] + told["torn"] > 0
    assert shell(server, "cat /data/safe") == "safe"
    assert "EXT4-fs error" not in shell(server, "dmesg")
    wait_converged(one)


PREPARED = "head -c 99999 /dev/urandom > /data/leased; sync /data/leased"
LEASED = {
    "damaged": DiskDamaged(SERVER, "/data/leased"),
    "paused": ServerPaused(SERVER),
    "power": PowerLost(SERVER),
    "site": SiteDark(),
}


@pytest.mark.parametrize("fault", LEASED.values(), ids=LEASED)
def test_it_is_healed_by_its_lease_where_the_harness_is_killed(
    one: LiveDataCenter, server: LiveMachine, tmp_path: Path, fault: Fault
) -> None:
    shell(server, PREPARED)
    kill(start_harness(one, fault, 600.0, tmp_path / "log"))
    wait_let_go(one)
    wait_converged(one)
    phases = [each.data["phase"] for each in read(one.recorder.path) if each.kind == "fault"]
    assert phases[-4:] == ["inject", "bites", "heal", "healed"]
