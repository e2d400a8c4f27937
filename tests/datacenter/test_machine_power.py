"""The power switch of a server, its reset button, and what else silences it: what libvirt and QEMU are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from vdc.datacenter.api import Power
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import InputError
from vdc.host.libvirtd import Connection
from vdc.shell import Completed


@dataclass
class Switchboard:
    """A libvirt with one domain, that remembers what it was told."""

    now: str = "running"
    told: list[str] = field(default_factory=list)

    def state(self, name: str) -> str:
        return self.now

    def suspend(self, name: str) -> None:
        self.told.append("suspend")
        self.now = "paused"

    def resume(self, name: str) -> None:
        self.told.append("resume")
        self.now = "running"

    def start(self, name: str) -> None:
        self.told.append("start")
        self.now = "running"

    def monitor(self, name: str, command: str, arguments: Mapping[str, object]) -> Any:
        self.told.append(command)
        if command == "inject-nmi":
            self.now = "crashed"
        return {}

    def execute(self, name: str, argv: list[str], **_: object) -> Completed:
        self.told.append(" ".join(argv))
        return Completed(argv=tuple(argv), status=0, stdout="", stderr="")


@pytest.fixture
def libvirt() -> Switchboard:
    return Switchboard()


@pytest.fixture
def server(dc: LiveDataCenter, libvirt: Switchboard) -> LiveMachine:
    return replace(dc.servers["rack0-cs0"], libvirt=cast(Connection, libvirt))


def test_a_server_that_stands_still_goes_on_when_it_gets_power(server: LiveMachine, libvirt: Switchboard) -> None:
    server.pause()
    assert server.power() is Power.PAUSED
    server.pause()
    server.power_on()
    server.power_on()
    assert server.power() is Power.ON
    assert libvirt.told == ["suspend", "resume"]


def test_one_that_is_off_is_not_paused(server: LiveMachine, libvirt: Switchboard) -> None:
    libvirt.now = "off"
    server.pause()
    assert libvirt.told == []


def test_a_reset_button_that_is_held_keeps_it_from_booting(server: LiveMachine, libvirt: Switchboard) -> None:
    server.hold_reset()
    assert server.power() is Power.PAUSED
    assert libvirt.told == ["suspend", "system_reset"]
    server.power_on()
    assert libvirt.told[-1] == "resume"


def test_its_kernel_is_set_to_panic_before_the_nmi(server: LiveMachine, libvirt: Switchboard) -> None:
    server.send_nmi()
    assert libvirt.told == ["sysctl -q -w kernel.unknown_nmi_panic=1", "inject-nmi"]
    assert server.power() is Power.PAUSED


def test_nobody_sets_the_kernel_of_a_guest_of_the_users_own(server: LiveMachine, libvirt: Switchboard) -> None:
    with pytest.raises(InputError, match="the user's own"):
        replace(server, spec=replace(server.spec, image="theirs")).send_nmi()
    assert libvirt.told == []
