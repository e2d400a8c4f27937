"""A real guest with all the hardware that can be frozen: cloned, saved, restored, and what a cold boot finds then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.asking import command_line, say
from tests.host.conftest import Command, traces
from vdc.datacenter import checkpoint_stores, lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.settings import Settings
from vdc.steps import Steps

FILE = Path(__file__).with_name("frozen.yml")
VARIABLE = "/sys/firmware/efi/efivars/VdcTest-12345678-1234-1234-1234-123456789abc"


@pytest.fixture(scope="module")
def ssd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a device class."""
    return tmp_path_factory.mktemp("ssd")


@pytest.fixture(scope="module")
def frozen(settings: Settings, vdc: Command, ssd: Path) -> Iterator[LiveDataCenter]:
    vdc("up", str(FILE), "--set", f"ssd={ssd}", timeout=900)
    yield lifecycle.attach("frozen", settings, Steps())
    vdc("down", "frozen")
    assert traces("frozen", settings) == []
    assert list(ssd.iterdir()) == []
    for saved in checkpoint_stores.checkpoints(settings):
        if saved.name == "frozen":
            checkpoint_stores.remove(saved.name, saved.tag, settings)


def test_a_clone_has_numa_nodes_volumes_and_uefi(frozen: LiveDataCenter) -> None:
    server = frozen.servers["rack0-cs0"]
    assert "-incoming" in command_line(server)
    assert say(server, "ls -d /sys/devices/system/node/node* | wc -l") == "2"
    assert say(server, "cat /sys/firmware/efi/fw_platform_size") == "64"
    assert say(server, "lsblk -d -n -o NAME | tr '\\n' ' '").split() == ["sda", "vda", "vdb", "vdc", "vdd"]


def test_firmware_variables_and_volumes_are_of_the_instant(
    frozen: LiveDataCenter, settings: Settings, vdc: Command, ssd: Path
) -> None:
    server = frozen.servers["rack0-cs0"]
    write = "printf '\\007\\000\\000\\000{0}' > {1}; for d in sda vdd; do echo {0} > /dev/$d; done; sync"
    say(server, write.format("then", VARIABLE))
    vdc("checkpoint", "save", "frozen", "then", timeout=300)
    say(server, f"chattr -i {VARIABLE}; {write.format('late', VARIABLE)}")
    look = f"tail -c 4 {VARIABLE}; for d in sda vdd; do head -c 4 /dev/$d; done"
    assert say(server, look) == "latelatelate"

    vdc("checkpoint", "restore", "frozen", "then", timeout=300)
    server = lifecycle.attach("frozen", settings, Steps()).servers["rack0-cs0"]
    assert say(server, look) == "thenthenthen"
    assert [path.name for path in (ssd / "vdc-frozen").iterdir()] == ["rack0-cs0.plain.qcow2"]
    before = server.boot_id()
    server.power_off()
    server.power_on()
    server.wait_answering(unlike_boot=before)
    assert "-incoming" not in command_line(server)
    assert say(server, look) == "thenthenthen", "what a cold boot finds"
