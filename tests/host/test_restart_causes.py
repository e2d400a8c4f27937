"""A real guest tells how its boots ended, and the hypervisor agrees; what it lost with its power is told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.conftest import Command
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.faults import PowerLost, injected
from vdc.observe.domain_events import listening
from vdc.observe.verdict import judge
from vdc.rolling.locally import keeping_locally, local_data
from vdc.rolling.witness import judge_all_restarted, witnessing
from vdc.settings import Settings
from vdc.steps import Steps

NAME = "t-causes"
SERVER = "rack0-cs0"


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(Path(__file__).with_name("one.yml")), "--name", NAME, timeout=900)
    dc = lifecycle.attach(NAME, settings, Steps())
    with listening(dc):
        yield dc
    lifecycle.down(NAME, settings, Steps())


def off_and_on(server: LiveMachine) -> None:
    server.power_off()
    server.power_on()


def shut_down_and_on(server: LiveMachine) -> None:
    server.shutdown()
    server.power_on()


WAYS: dict[str, Callable[[LiveMachine], None]] = {
    "asked": LiveMachine.reboot,
    "power": off_and_on,
    "shut down": shut_down_and_on,
    "reset": LiveMachine.reset,
}


@pytest.mark.parametrize("restart", WAYS.values(), ids=WAYS)
def test_all_witnesses_say_why_it_restarted(one: LiveDataCenter, restart: Callable[[LiveMachine], None]) -> None:
    server = one.servers[SERVER]
    with witnessing(one) as witness:
        before = server.boot_id()
        restart(server)
        server.wait_answering(unlike_boot=before)
    judge_all_restarted(witness, servers=[SERVER])


def test_what_was_synced_outlives_a_disk_that_forgets(one: LiveDataCenter, request: pytest.FixtureRequest) -> None:
    with witnessing(one) as witness, keeping_locally(one, SERVER) as kept:
        with injected(one, PowerLost(SERVER, seed=7)):
            pass
        wait_converged(one)
    verdict = local_data(kept)
    request.node.user_properties.append(("what came of lines", dict(verdict.figures)))
    judge(verdict)
    judge_all_restarted(witness, servers=[SERVER])
