"""Real guests that start as clones of a booted template: each is a server of its own, and nothing of the template."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import Command, traces
from tests.host.moments import has, kill_at
from vdc.datacenter import lifecycle
from vdc.datacenter.checkpoint import Checkpoint, load, verify
from vdc.datacenter.checkpoint_stores import template_store
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.templates import NAME
from vdc.faults.proofs import rebooting
from vdc.host import disks
from vdc.settings import Settings
from vdc.steps import Steps

ONE, TWO = (Path(__file__).with_name(f"{name}.yml") for name in ("one", "two"))

ASK = """\
echo "random=$(head -c 64 /dev/urandom | base64 -w 0)"
echo "clock=$(date +%s.%N)"
echo "hostname=$(hostname)"
echo "machine_id=$(cat /etc/machine-id)"
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
echo "product_uuid=$(cat /sys/class/dmi/id/product_uuid)"
echo "host_key=$(ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key)"
echo "login_key=$(cat /root/.ssh/authorized_keys)"
echo "links=$(ip -j addr show)"
echo "journals=$(ls /var/log/journal)"
echo "logged=$(journalctl --boot --quiet --output=export --output-fields=_MACHINE_ID |
    grep -a -e ^_MACHINE_ID= -e ^_BOOT_ID= | sort -u | tr '\\n' ' ')"
"""
OF_ITS_OWN = ("random", "hostname", "machine_id", "boot_id", "product_uuid", "host_key", "macs", "addresses")
"""What no two servers of a data centre have in common."""

OF_ITS_BOOT = ("random", "clock", "boot_id", "logged")
"""What a server does not keep when it boots again."""

Identity = Mapping[str, Any]


def identity(server: LiveMachine) -> Identity:
    """Ask a server who it is."""
    before = time.time()
    said = dict(line.split("=", 1) for line in server.run(["sh", "-s"], stdin=ASK).stdout.splitlines())
    links = {link["ifname"]: link for link in json.loads(said.pop("links")) if link["ifname"] != "lo"}
    clock = float(said["clock"])
    assert before - 2.0 <= clock <= time.time() + 2.0, f"it is {time.time()}, and the clock says {clock}"
    return said | {
        "macs": {name: link["address"] for name, link in links.items() if name.startswith("eth")},
        "addresses": {
            name: f"{each['local']}/{each['prefixlen']}"
            for name, link in links.items()
            for each in link["addr_info"]
            if each["family"] == "inet"
        },
    }


def planned(server: LiveMachine) -> Identity:
    """Return what the plan says of who a server is."""
    uuid, spec = server.plan.context.uuid(server.name), server.spec
    return {
        "hostname": server.name,
        "machine_id": uuid.hex,
        "product_uuid": str(uuid),
        "macs": {port.interface: port.mac for port in spec.ports},
        "addresses": {"node0": str(spec.node)} | {port.interface: str(port.address) for port in spec.ports},
    }


def template_of(server: LiveMachine) -> Checkpoint:
    """Return the template that a clone's root disk is on."""
    disk = disks.backing(server.plan.context.root_disk(server.name))
    assert disk is not None
    found = load(disk.parents[1])
    assert found is not None
    return found


def command_line(server: LiveMachine) -> str:
    """Return the command line of a server's QEMU."""
    pid = server.plan.context.process_file(server.name).read_text()
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.fixture(scope="class")
def two(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(TWO), timeout=900)
    yield lifecycle.attach("two", settings, Steps())
    vdc("down", "two")
    assert traces("two", settings) == []


@pytest.fixture(scope="class")
def identities(two: LiveDataCenter) -> Mapping[str, Identity]:
    """Who each server is, asked as soon as they are up."""
    found = {name: identity(server) for name, server in two.servers.items()}
    assert len(found) == 2
    return found


class TestClones:
    def test_they_are_clones_of_one_template(self, two: LiveDataCenter) -> None:
        (template,) = {template_of(server) for server in two.servers.values()}
        for server in two.servers.values():
            assert f"mem-path={template.frozen(NAME).memory}" in command_line(server)

    @pytest.mark.parametrize("what", OF_ITS_OWN)
    def test_no_two_have_it_in_common(self, identities: Mapping[str, Identity], what: str) -> None:
        first, second = (each[what] for each in identities.values())
        assert first
        assert second
        if isinstance(first, dict):
            assert set(first.values()) & set(second.values()) == set()
        assert first != second

    def test_each_is_who_the_plan_says(self, two: LiveDataCenter, identities: Mapping[str, Identity]) -> None:
        for name, server in two.servers.items():
            wanted = planned(server)
            assert {what: identities[name][what] for what in wanted} == wanted

    def test_each_has_a_journal_under_its_own_ids_and_no_other(self, identities: Mapping[str, Identity]) -> None:
        for each in identities.values():
            assert each["journals"] == each["machine_id"]
            assert set(each["logged"].split()) == {
                f"_MACHINE_ID={each['machine_id']}",
                f"_BOOT_ID={each['boot_id'].replace('-', '')}",
            }

    def test_nothing_is_left_of_the_template(self, two: LiveDataCenter) -> None:
        for server in two.servers.values():
            uuid = template_of(server).plan.context.uuid(NAME)
            looked = ["grep", "-rlF", "-e", uuid.hex, "-e", str(uuid), "/etc", "/var/log"]
            found = server.run(looked, check=False)
            assert (found.stdout, found.status) == ("", 1), found.stderr

    def test_each_is_logged_in_to_by_its_own_host_key(self, two: LiveDataCenter, vdc: Command) -> None:
        for name in two.servers:
            assert vdc("ssh", "two", name, "--", "cat", "/etc/hostname").stdout.strip() == name

    def test_a_cold_boot_keeps_all_but_what_is_of_the_boot(
        self, two: LiveDataCenter, identities: Mapping[str, Identity]
    ) -> None:
        server = two.servers["rack0-cs0"]
        before = identities[server.name]
        with rebooting(server):
            server.power_off()
            server.power_on()
        wait_converged(two)
        assert "memory-backend-file" not in command_line(server)
        after = identity(server)
        assert {what: after[what] for what in after if what not in OF_ITS_BOOT} == {
            what: before[what] for what in before if what not in OF_ITS_BOOT
        }
        for what in ("random", "boot_id"):
            assert after[what] != before[what]

    def test_another_data_centre_shares_no_key_or_id_and_boots_cold_where_that_is_asked_for(
        self, identities: Mapping[str, Identity], settings: Settings, vdc: Command, gone: list[str]
    ) -> None:
        gone.append("t-cold")
        vdc("up", str(ONE), "--name", "t-cold", "--boot", "cold", timeout=900)
        server = lifecycle.attach("t-cold", settings, Steps()).servers["rack0-cs0"]
        assert "memory-backend-file" not in command_line(server)
        other = identity(server)
        for each in identities.values():
            for what in ("login_key", "host_key", "machine_id", "product_uuid", "boot_id", "random"):
                assert other[what] != each[what], what
        vdc("down", "t-cold")


def test_a_tampered_template_is_told_and_made_again_also_when_that_is_interrupted(
    settings: Settings, vdc: Command, gone: list[str], tmp_path: Path
) -> None:
    gone.append("t-template")
    vdc("up", str(ONE), "--name", "t-template", timeout=900)
    template = template_of(lifecycle.attach("t-template", settings, Steps()).servers["rack0-cs0"])
    vdc("down", "t-template")
    with template.frozen(NAME).memory.open("r+b") as memory:
        memory.write(bytes([memory.read(1)[0] ^ 1]))

    gone.append(template.name)
    argv = ["up", str(ONE), "--name", "t-template"]
    booting = has(f"libvirt/run/qemu/{NAME}.pid")
    said = kill_at(booting, settings.state_dir / template.name, argv, vdc, tmp_path / "output")
    assert "discard a template" in said
    assert f"is damaged: memory/{NAME}.ram" in said
    assert traces(template.name, settings), "nothing was there to be left behind"
    vdc("gc")
    for name in ("t-template", template.name):
        assert traces(name, settings) == []
    assert [path for path in template_store(settings).glob(".*") if path.is_dir()] == []
    assert load(template.directory) is None

    assert "boot a template" in vdc(*argv, timeout=900).stderr
    made = template_of(lifecycle.attach("t-template", settings, Steps()).servers["rack0-cs0"])
    assert made.directory == template.directory
    verify(made)
    vdc("down", "t-template")
