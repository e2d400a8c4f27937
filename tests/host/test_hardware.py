"""Every hardware key of the language on real guests, asked in the guest itself."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import disk_image
from tests.host.asking import command_line, say
from tests.host.conftest import Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.api import Power
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import InputError
from vdc.plan.images import IMAGES
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

FILE = Path(__file__).with_name("hardware.yml")
MIB = 1 << 20


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, settings: Settings, vdc: Command) -> Iterator[dict[str, Path]]:
    """The folders and files of the host that the topology speaks of."""
    folder = tmp_path_factory.mktemp("hardware")
    places = {name: folder / name for name in ("ssd", "tools", "results")}
    for place in places.values():
        place.mkdir()
    (places["tools"] / "hello").write_text("from the host\n")
    (places["ssd"] / "kept").write_text("somebody else's")
    vdc("images", "build", "debian-12", timeout=900)
    before = set((settings.cache_dir / "images").iterdir())
    yield {**places, "image": disk_image.make(IMAGES["debian-12"], settings.cache_dir, folder)}
    for path in set((settings.cache_dir / "images").glob("user-*")) - before:
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def hw(settings: Settings, vdc: Command, places: dict[str, Path]) -> Iterator[LiveDataCenter]:
    sets = [word for name, place in places.items() for word in ("--set", f"{name}={place}")]
    vdc("up", str(FILE), *sets, timeout=900)
    yield lifecycle.attach("hw", settings, Steps())
    vdc("down", "hw")
    assert traces("hw", settings) == []
    assert sorted(path.name for path in places["ssd"].iterdir()) == ["kept"]


@pytest.fixture(scope="module")
def big(hw: LiveDataCenter) -> LiveMachine:
    return hw.servers["rack0-big0"]


@pytest.fixture(scope="module")
def own(hw: LiveDataCenter) -> LiveMachine:
    return hw.servers["rack0-own0"]


class TestTheMachine:
    def test_cpus_are_presented_as_asked_for(self, big: LiveMachine) -> None:
        topology = "/sys/devices/system/cpu/cpu{}/topology/{}"
        seen = {
            what: [say(big, f"cat {topology.format(cpu, what)}") for cpu in (0, 1)] for what in ("core_id", "die_id")
        }
        assert say(big, "nproc") == "2"
        assert say(big, f"cat {topology.format(0, 'thread_siblings_list')}") == "0-1", "two threads of one core"
        assert say(big, "cat /sys/devices/system/cpu/possible") == "0-3", "there is room for maxcpus"
        assert seen["core_id"][0] == seen["core_id"][1]
        assert seen["die_id"] == ["0", "0"]

    def test_memory_is_in_numa_nodes(self, big: LiveMachine) -> None:
        nodes = say(big, "grep -h MemTotal /sys/devices/system/node/node*/meminfo").splitlines()
        sizes = [int(line.split()[3]) << 10 for line in nodes]
        assert len(sizes) == 2
        assert all(300 * MIB < size <= 384 * MIB for size in sizes), sizes

    def test_a_nic_has_its_queues_and_its_mtu(self, big: LiveMachine) -> None:
        assert say(big, "ls /sys/class/net/eth0/queues").split() == ["rx-0", "rx-1", "tx-0", "tx-1"]
        assert say(big, "cat /sys/class/net/eth0/mtu") == "9000"
        tor = big.spec.ports[0].addresses[0].network.network_address + 1
        say(big, f"ping -c 1 -W 5 -M do -s 8972 {tor}")

    def test_it_says_what_the_file_says_of_it(self, big: LiveMachine, hw: LiveDataCenter) -> None:
        names = ("sys_vendor", "product_name", "product_serial")
        assert [say(big, f"cat /sys/class/dmi/id/{name}") for name in names] == ["ACME", "Box 1", "A-1"]
        clone = hw.servers["rack0-cs0"]
        assert "memory-backend-file" in command_line(clone), "an ordinary server is a clone beside one that cannot be"
        assert say(clone, "cat /sys/class/dmi/id/product_serial") == clone.spec.hardware.smbios.serial


class TestVolumes:
    def test_disks_have_their_bus_size_and_serial(self, big: LiveMachine) -> None:
        rows = say(big, "lsblk -b -d -n -o NAME,SIZE,RO,SERIAL | tr -s ' '").splitlines()
        disks = {name: rest for name, *rest in (row.split() for row in rows)}
        assert disks["nvme0n1"] == [str(64 * MIB), "0", "NV-1"]
        # SCSI disks are named in the order in which they are found
        slow = sorted(disks[name] for name in ("sda", "sdb"))
        assert slow == [[str(32 * MIB), "0", "slow0"], [str(32 * MIB), "0", "slow1"]]
        assert disks["vdd"] == [str(48 * MIB), "0", "plain"]
        assert disks["vde"][1:] == ["0", "disk"]
        assert disks["vdf"] == [str(600 * MIB), "0", "copied"]

    @pytest.mark.parametrize(("disk", "limit"), [("nvme0n1", 1 * MIB), ("vdd", 2 * MIB)])
    def test_a_limit_is_kept_to(self, big: LiveMachine, disk: str, limit: int) -> None:
        count = 6 * limit // MIB
        start = time.monotonic()
        say(big, f"dd if=/dev/zero of=/dev/{disk} bs=1M count={count} oflag=direct 2>&1")
        took = time.monotonic() - start
        assert 4.5 < took < 15, f"{count} MiB at {limit // MIB} MiB/s took {took:.1f} s"

    def test_a_disk_without_a_limit_is_not_limited(self, big: LiveMachine) -> None:
        start = time.monotonic()
        say(big, "dd if=/dev/zero of=/dev/sda bs=1M count=24 oflag=direct 2>&1")
        assert time.monotonic() - start < 4

    def test_a_packed_image_is_unpacked_below_an_overlay_and_for_a_copy(self, big: LiveMachine) -> None:
        for disk in ("vde", "vdf"):
            assert say(
                big, f"modprobe vfat; mount -o ro /dev/{disk}1 /mnt; cat /mnt/startup.nsh; umount /mnt"
            ).startswith("vmlinuz.efi")

    def test_a_folder_is_shared_read_only_unless_it_may_be_written(
        self, big: LiveMachine, places: dict[str, Path]
    ) -> None:
        assert say(big, "mount -t virtiofs tools /mnt; cat /mnt/hello; umount /mnt") == "from the host"
        wrote = big.run(["sh", "-c", "mount -t virtiofs tools /mnt; touch /mnt/new; umount /mnt"], check=False)
        assert "Read-only file system" in wrote.stderr
        say(big, "mount -t virtiofs results /mnt; echo 42 > /mnt/answer; umount /mnt")
        assert (places["results"] / "answer").read_text() == "42\n"
        assert [path.name for path in places["tools"].iterdir()] == ["hello"]

    def test_a_device_class_has_a_folder_of_the_instance(self, big: LiveMachine, places: dict[str, Path]) -> None:
        assert [path.name for path in (places["ssd"] / "vdc-hw").iterdir()] == ["rack0-big0.plain.qcow2"]

    def test_what_cannot_be_frozen_is_named(self, hw: LiveDataCenter, vdc: Command) -> None:
        said = vdc("checkpoint", "save", "hw", "x", status=2).stderr
        assert "rack0-big0 has the NVMe disk fast" in said
        assert "rack0-big0 has the folder tools" in said


@pytest.fixture(scope="module")
def console(own: LiveMachine) -> dict[str, str]:
    """What the guest told its console of itself, by the first word."""

    def told() -> str:
        text = own.plan.context.console_log(own.name).read_text(errors="replace")
        if "mine: done" not in text:
            raise NotYet(text[-500:])
        return text

    said = wait_for(told, what="the guest to boot its own disk", timeout=120 * max(1.0, own.slowness))
    return dict(re.findall(r"^mine: (\S+?):? (.*?)\r*$", said, re.MULTILINE)) | {"all": said}


class TestAnImageOfTheUsers:
    def test_it_boots_its_own_disk(self, own: LiveMachine, console: dict[str, str]) -> None:
        assert "mine: disk vda root" in console["all"]
        assert own.power() is Power.ON
        assert own.release == "mine"

    def test_it_finds_a_seed_that_has_user_data_only(self, own: LiveMachine, console: dict[str, str]) -> None:
        assert console["user-data"].startswith("#cloud-config hostname: mine")
        assert f'"local-hostname": "{own.name}"' in console["meta-data"]
        assert "network-config" not in console

    def test_it_is_handed_its_ignition_configuration(self, console: dict[str, str]) -> None:
        assert console["ignition"] == '{"ignition": {"version": "3.3.0"}}'

    def test_it_has_its_serial_and_the_mtu(self, own: LiveMachine, console: dict[str, str]) -> None:
        assert console["serial"] == own.spec.hardware.smbios.serial
        assert console["mtu"] == "9000"

    def test_nobody_runs_commands_there(self, own: LiveMachine, vdc: Command) -> None:
        with pytest.raises(InputError, match="its image mine is the user's own"):
            own.run(["true"])
        assert "vdc ssh" in vdc("exec", "hw", own.name, "--", "true", status=2).stderr

    def test_it_can_be_switched_off_and_on(self, own: LiveMachine) -> None:
        own.power_off()
        assert own.power() is Power.OFF
        own.power_on()
        assert own.wait_answering() == ""
