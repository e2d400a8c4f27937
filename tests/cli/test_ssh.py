from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cli.access import ssh_argv
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
