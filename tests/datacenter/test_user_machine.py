"""A guest with an image of the user's: what can be done with it, and that nothing else is pretended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.datacenter.conftest import Guests
from vdc.datacenter.api import Power
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import InputError

SERVER = "rack0-cs0"


@pytest.fixture
def machine(dc: LiveDataCenter) -> LiveMachine:
    ours = dc.servers[SERVER]
    assert isinstance(ours, LiveMachine)
    return replace(ours, spec=replace(ours.spec, image="mine", sessions=()))


@pytest.mark.parametrize(
    "action",
    [
        lambda machine: machine.run(["true"]),
        lambda machine: machine.boot_id(),
        lambda machine: machine.versions(),
        lambda machine: machine.reboot(),
        lambda machine: machine.crash(),
        lambda machine: machine.reimage("debian-12"),
    ],
    ids=["run", "boot_id", "versions", "reboot", "crash", "reimage"],
)
def test_what_takes_an_agent_is_refused_with_another_way(
    machine: LiveMachine, action: Callable[[LiveMachine], object]
) -> None:
    with pytest.raises(InputError, match=f"{SERVER} .*its image mine is the user's own") as raised:
        action(machine)
    assert "vdc ssh a rack0-cs0" in str(raised.value.hint)


def test_it_has_no_sessions_and_routes_that_anybody_knows_of(machine: LiveMachine) -> None:
    assert (machine.sessions(), machine.routes(), machine.routing()) == ((), {}, ((), {}))


def test_it_answers_when_it_runs(machine: LiveMachine, guests: Guests) -> None:
    assert machine.wait_answering() == ""
    assert machine.power() is Power.ON
    assert machine.release == "mine"
