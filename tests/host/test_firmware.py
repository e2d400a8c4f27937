"""A real guest starts by other firmware: SeaBIOS, UEFI, a newer UEFI, and SeaBIOS again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.asking import command_line, say
from tests.host.conftest import Command, traces
from vdc.datacenter import checkpoint_stores, lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import InputError
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.upgrade.firmware import says
from vdc.upgrade.firmware_trial import READ, WRITE

FILE = Path(__file__).with_name("firmware.yml")
SEABIOS, OVMF, NEWER = "firmware-seabios-1.16", "firmware-ovmf-2022.11", "firmware-ovmf-2025.02"


@pytest.fixture(scope="module")
def started(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(FILE), timeout=900)
    yield lifecycle.attach("firmware", settings, Steps())
    vdc("down", "firmware")
    assert traces("firmware", settings) == []
    for saved in checkpoint_stores.checkpoints(settings):
        if saved.name == "firmware":
            checkpoint_stores.remove(saved.name, saved.tag, settings)


def _server(settings: Settings) -> LiveMachine:
    return lifecycle.attach("firmware", settings, Steps()).servers["rack0-cs0"]


def _starts(server: LiveMachine, before: str) -> None:
    server.power_on()
    server.wait_answering(unlike_boot=before)
    assert "-incoming" not in command_line(server)


def _expect(server: LiveMachine, release: str) -> None:
    has = server.firmware()
    print(f"{server.name} has started by {has}")  # noqa: T201 - what it is on this host
    assert says(has, release), has
    assert has.digest == server.firmware_of(release)


def test_a_server_starts_by_what_it_was_given_last(started: LiveDataCenter, settings: Settings, vdc: Command) -> None:
    server = started.servers["rack0-cs0"]
    nvram = started.plan.context.nvram(server.name)
    assert says(server.firmware(), SEABIOS)
    with pytest.raises(InputError, match="is running"):
        server.flash(OVMF)

    boot = server.boot_id()
    server.shutdown()
    server.flash(OVMF)
    _starts(server, boot)
    _expect(server, OVMF)
    assert say(server, "cat /sys/firmware/efi/fw_platform_size") == "64"
    server.run(["sh", "-s", "--", "kept"], stdin=WRITE)

    vdc("checkpoint", "save", "firmware", "uefi", timeout=300)
    vdc("checkpoint", "restore", "firmware", "uefi", timeout=300)
    server = _server(settings)
    assert "-incoming" in command_line(server)
    _expect(server, OVMF)

    boot = server.boot_id()
    server.shutdown()
    server.flash(NEWER)
    server.reimage(server.release)
    _starts(server, boot)
    _expect(server, NEWER)
    assert server.run(["sh", "-s"], stdin=READ).stdout == "kept"

    boot = server.boot_id()
    server.power_off()
    server.flash(SEABIOS)
    assert not nvram.exists()
    _starts(server, boot)
    _expect(server, SEABIOS)
