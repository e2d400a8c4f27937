"""A row of paths of the user's own: the user's tool upgrades real servers over SSH, and takes them back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.api import DataCenter
from vdc.settings import Settings
from vdc.steps import Steps

NAME = "t-hooks"
HOOKS = Path(__file__).parent / "hooks"
SERVERS = ("rack0-cs0", "rack0-cs1")


@pytest.fixture
def command(settings: Settings) -> Command:
    made = Command(settings)
    made.environment["VDC_UPGRADE_PATHS"] = str(HOOKS / "paths.yml")
    return made


def agents(dc: DataCenter) -> list[str]:
    """Return the version of the agent that runs on each server, by its own environment."""
    script = "pid=$(systemctl show --value -p MainPID agent); [ $pid = 0 ] || tr '\\0' '\\n' </proc/$pid/environ"
    said = (dc.servers[name].run(["sh", "-s"], stdin=script).stdout.splitlines() for name in SERVERS)
    return [next((line.partition("=")[2] for line in lines if line.startswith("AGENT=")), "none") for lines in said]


def test_a_tool_of_ones_own_upgrades_server_by_server_and_takes_them_back(
    command: Command, settings: Settings, gone: list[str]
) -> None:
    gone.append(NAME)
    assert "agent none → 2" in command("upgrade", "list").stdout
    command("up", str(HOOKS / "topology.yml"), "--deploy")
    dc = lifecycle.attach(NAME, settings, Steps())
    assert agents(dc) == ["none", "none"]

    said = command("upgrade", "run", NAME, "agent-2", "--hold-after", "1").stdout
    assert said.startswith("rack0-cs0: debian-12 with agent 2 after")
    assert agents(dc) == ["2", "none"]
    said = command("upgrade", "run", NAME, "agent-2").stdout
    assert said.startswith("rack0-cs1: debian-12 with agent 2 after")
    assert agents(dc) == ["2", "2"]
    assert "nothing to do" in command("upgrade", "run", NAME, "agent-2").stdout

    said = command("upgrade", "run", NAME, "agent-2", "--back").stdout
    assert said.startswith("rack0-cs0, rack0-cs1: debian-12 with agent none after")
    assert agents(dc) == ["none", "none"]
    command("down", NAME)
    assert traces(NAME, settings) == []
