from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.cli.access import ssh_argv
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.testing import FakeDataCenter

from .conftest import TOPOLOGIES


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path)


def test_ssh_comes_from_outside_knows_the_host_key_and_quotes_the_command(dc: FakeDataCenter) -> None:
    argv = ssh_argv(dc, "rack1-cs0", ["echo", "two words"])
    assert argv[:3] == ["nsenter", f"--net=/run/netns/vdc-{dc.name}.external", "--"]
    assert "StrictHostKeyChecking=yes" in argv
    assert f"IdentityFile={dc.run_directory}/secrets/id_ed25519" in argv
    assert argv[-2:] == [f"root@{dc.topology.server('rack1-cs0').node.ip}", "echo 'two words'"]


def test_ssh_without_a_command_is_a_shell(dc: FakeDataCenter) -> None:
    assert ssh_argv(dc, "rack0-cs0", [])[-1] == f"root@{dc.topology.server('rack0-cs0').node.ip}"


def test_a_guest_of_a_users_image_is_logged_in_to_from_its_tor_with_the_users_own_keys(
    dc: FakeDataCenter, tmp_path: Path
) -> None:
    """It announces nothing, so nobody but its neighbours reaches it."""
    first, *others = dc.topology.servers
    changed = replace(dc.topology, servers=(replace(first, image="mine", sessions=()), *others))
    dc = FakeDataCenter(changed, tmp_path / "other")
    argv = ssh_argv(dc, first.name, [])
    assert argv[1] == f"--net=/run/netns/vdc-{dc.name}.{first.name.split('-')[0]}-tor0"
    assert argv[-1] == f"root@{first.ports[0].addresses[0].ip}"
    assert not [option for option in argv if option.startswith("IdentityFile=")]


def test_a_server_without_an_address_has_its_console(dc: FakeDataCenter, tmp_path: Path) -> None:
    first, *others = dc.topology.servers
    nowhere = replace(first, nodes=(), ports=tuple(replace(port, addresses=()) for port in first.ports))
    dc = FakeDataCenter(replace(dc.topology, servers=(nowhere, *others)), tmp_path / "other")
    with pytest.raises(InputError, match="cannot be reached") as raised:
        ssh_argv(dc, first.name, [])
    assert "vdc console" in str(raised.value.hint)
