from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import Golden
from vdc.inventory import FORMS, Access, inventory
from vdc.model.load import read_topology
from vdc.shell import run

from .conftest import TOPOLOGIES, Vdc

PICTURES = TOPOLOGIES.parent / "tests" / "golden" / "pictures"
ACCESS = Access(
    instance="mine", netns="vdc-mine", secrets="/var/lib/vdc/mine/secrets", relay=("python", "-m", "vdc.host.relay")
)
SMALL = str(TOPOLOGIES / "small.yml")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["two", "dual"])
def test_an_inventory_is_as_it_was(golden: Golden, name: str, form: str) -> None:
    text = inventory(read_topology(PICTURES / f"{name}.yml"), ACCESS, form)  # type: ignore[arg-type]
    golden(PICTURES / f"{name}.inventory.{form}", text)


def test_the_json_of_a_file_has_every_device_and_link(vdc: Vdc) -> None:
    said = vdc("inventory", SMALL, "--name", "mine")
    assert said.status == 0
    told = json.loads(said.out)
    topology = read_topology(TOPOLOGIES / "small.yml")
    assert told["instance"] == "mine"
    assert [each["name"] for each in told["routers"]] == [router.name for router in topology.routers]
    assert [each["name"] for each in told["servers"]] == [server.name for server in topology.servers]
    assert len(told["links"]) == len(topology.links)
    server = topology.servers[0]
    assert told["servers"][0]["addresses"] == {"ipv4": [str(server.node.ip)], "ipv6": []}
    assert [port["mac"] for port in told["servers"][0]["interfaces"]] == [port.mac for port in server.ports]
    assert told["servers"][0]["hardware"]["memory"] == server.memory


def test_the_ansible_inventory_is_yaml_and_groups_by_role_tier_and_rack(vdc: Vdc) -> None:
    said = vdc("inventory", SMALL, "--format", "ansible")
    tree = YAML(typ="safe").load(said.out)["all"]["children"]
    assert list(tree["role_cs"]["hosts"]) == ["rack0-cs0", "rack1-cs0", "rack2-cs0"]
    assert list(tree["tier_spine"]["hosts"]) == ["spine0", "spine1"]
    assert list(tree["rack1"]["hosts"]) == ["rack1-tor0", "rack1-tor1", "rack1-cs0"]
    topology = read_topology(TOPOLOGIES / "small.yml")
    assert tree["servers"]["hosts"]["rack1-cs0"]["ansible_host"] == str(topology.server("rack1-cs0").node.ip)
    grouped = {name for group in tree.values() for name in group["hosts"]}
    assert grouped == {
        *(router.name for router in topology.routers),
        *(server.name for server in topology.servers),
        *(client.name for client in topology.externals),
    }


def test_hosts_has_a_line_for_each_address(vdc: Vdc) -> None:
    lines = vdc("inventory", SMALL, "--format", "hosts").out.splitlines()
    topology = read_topology(TOPOLOGIES / "small.yml")
    assert f"{topology.server('rack0-cs0').node.ip} rack0-cs0" in lines
    assert f"{topology.router('spine1').loopback.ip} spine1" in lines
    assert len(lines) == len(set(lines)) == 13


def test_ssh_reads_the_configuration_and_enters_the_namespace_of_the_client(vdc: Vdc, tmp_path: Path) -> None:
    file = tmp_path / "ssh"
    file.write_text(vdc("inventory", SMALL, "--format", "ssh-config", "--name", "mine").out)
    done = run(["ssh", "-G", "-F", str(file), "rack1-cs0"], timeout=10)
    options = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    topology = read_topology(TOPOLOGIES / "small.yml")
    assert options["hostname"] == str(topology.server("rack1-cs0").node.ip)
    assert options["user"] == "root"
    assert options["proxycommand"].startswith("nsenter --net=/run/netns/vdc-mine.external -- ")
    assert options["proxycommand"].endswith("-m vdc.host.relay %h %p")
    assert options["identityfile"].endswith("/mine/secrets/id_ed25519")


def test_a_running_data_centre_needs_root_and_an_unknown_one_is_an_error(vdc: Vdc) -> None:
    assert vdc("inventory", "mine").status == 77
    said = vdc("inventory", "mine", uid=0)
    assert said.status == 2
    assert "mine" in said.err


def test_the_relay_joins_both_ways_and_ends_with_the_far_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

        threading.Thread(target=answer, daemon=True).start()
        argv = [sys.executable, "-m", "vdc.host.relay", "127.0.0.1", str(server.getsockname()[1])]
        done = run(argv, timeout=10, stdin="hello")
    assert done.stdout == "HELLO"


def test_the_relay_tells_what_it_cannot_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    argv = [sys.executable, "-m", "vdc.host.relay", "127.0.0.1", str(port)]
    done = run(argv, timeout=10, check=False)
    assert (done.status, f"127.0.0.1 port {port}: " in done.stderr) == (1, True)


def test_a_client_is_known_by_its_first_addresses(tmp_path: Path) -> None:
    file = tmp_path / "lan.yml"
    file.write_text(
        "name: lan\nnetworks: {wire: {}, lan: {prefixes: [192.168.1.0/24]}}\n"
        "devices: {pc: {kind: client, interfaces: [{network: wire}, {network: lan}]}}\n"
    )
    assert inventory(read_topology(file), ACCESS, "hosts") == "192.168.1.1 pc\n"
