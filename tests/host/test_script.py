"""The example of the deployer `script`, on a real server."""

from __future__ import annotations

from pathlib import Path

from tests.host.conftest import Command, traces
from vdc.cluster.script import ScriptDeployer
from vdc.datacenter import lifecycle
from vdc.settings import Settings
from vdc.steps import Steps

NAME = "t-script"
FILE = Path(__file__).parent / "script.yml"


def test_commands_of_ones_own_deploy_a_cluster_that_serves(vdc: Command, settings: Settings, gone: list[str]) -> None:
    gone.append(NAME)
    said = vdc("up", str(FILE), "--deploy")
    assert "script serves" in said.stdout
    dc = lifecycle.attach(NAME, settings, Steps())
    cluster = ScriptDeployer().attach(dc)
    (state,) = cluster.state()
    assert (state.server, state.leader, state.healthy) == ("rack0-cs0", True, True)
    assert state.version.startswith("3.4.")
    cluster.write("kept/a", "two\nlines")

    assert "step 1" not in vdc("deploy", NAME).stderr, "a second deployment runs nothing"
    assert cluster.read_prefix("kept/") == {"kept/a": "two\nlines"}
    assert cluster.read("kept/b") is None

    vdc("down", NAME)
    assert traces(NAME, settings) == []
