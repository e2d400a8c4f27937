"""The deployer `script`, with real commands on a data centre in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.cluster.deployers import DEPLOYERS, default_deployer
from vdc.cluster.script import ScriptDeployer, commands_digest
from vdc.cluster.script_environment import environment
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, HostError, InputError, WaitTimeout
from vdc.host.locks import exclusive
from vdc.model.load import read_topology
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter
from vdc.wait import NotYet, wait_for

TOPOLOGY = """\
name: t
racks: [{servers: {cp: 1}}, {servers: {cs: 2}}]
roles: {cp: {}, cs: {}}
script:
  deploy:
    - {run: [./do, install]}
    - {run: [./do, lead], roles: [cp]}
    - {run: [./do, seal, two words], once: true}
  serving: [./do, serving]
  write: [./do, write]
  read: [./do, read]
  list: [./do, list]
  timeout: 5s
"""

COMMAND = """\
#!/bin/sh
set -eu
cd "$VDC_STATE"
case $1 in
  install) [ ! -e broken ] || { echo "no disk on $VDC_SERVER" >&2; exit 7; }; mkdir -p "$VDC_SERVER" ;;
  lead) touch "$VDC_SERVER/leads" ;;
  seal) ls >sealed ;;
  serving)
    [ -e "$VDC_SERVER" ] || { echo "not installed"; exit 1; }
    if [ -e "$VDC_SERVER/leads" ]; then echo 1.2.3 leader; else echo 1.2.3; fi ;;
  write) [ ! -e readonly ] || exit 5; mkdir -p "data/$(dirname "$VDC_KEY")"; cat >"data/$VDC_KEY" ;;
  read) [ -e "data/$VDC_KEY" ] || exit 3; cat "data/$VDC_KEY" ;;
  list) find data -type f -printf '%P\\n' | grep "^$VDC_KEY" | sort ;;
esac
echo "$1 ${2-} ${VDC_SERVER-all} ${VDC_ROLE-}" >>"$VDC_STATE/../calls"
"""

Make = Callable[..., FakeDataCenter]


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    (tmp_path / "do").write_text(COMMAND, encoding="utf-8")
    (tmp_path / "do").chmod(0o755)
    (tmp_path / "t.yml").write_text(TOPOLOGY, encoding="utf-8")
    return read_topology(tmp_path / "t.yml")


@pytest.fixture
def dc(topology: Topology, tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(topology, tmp_path / "run")


def calls(dc: DataCenter) -> list[str]:
    path = dc.run_directory / "script" / "calls"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def state(dc: DataCenter) -> Path:
    return dc.run_directory / "script" / "state"


def test_each_step_is_done_on_all_its_servers_before_the_next_begins(dc: FakeDataCenter) -> None:
    ScriptDeployer().deploy(dc)
    made = [call for call in calls(dc) if call.split()[0] in {"install", "lead", "seal"}]
    assert sorted(made[:3]) == ["install  rack0-cp0 cp", "install  rack1-cs0 cs", "install  rack1-cs1 cs"]
    assert made[3:] == ["lead  rack0-cp0 cp", "seal two words all "]


def test_a_second_deployment_changes_nothing_and_one_after_a_crash_finishes_the_job(dc: FakeDataCenter) -> None:
    ScriptDeployer().deploy(dc)
    before = len([call for call in calls(dc) if call.startswith("install")])
    ScriptDeployer().deploy(dc)
    assert len([call for call in calls(dc) if call.startswith("install")]) == before
    (dc.run_directory / "script" / "deployed").unlink()
    ScriptDeployer().deploy(dc)
    assert len([call for call in calls(dc) if call.startswith("install")]) == 2 * before


def test_the_cluster_tells_versions_and_its_leader_and_keeps_data(dc: FakeDataCenter) -> None:
    cluster = ScriptDeployer().deploy(dc)
    assert cluster.members == ("rack0-cp0", "rack1-cs0", "rack1-cs1")
    assert {(each.server, each.version, each.leader, each.healthy) for each in cluster.state()} == {
        ("rack0-cp0", "1.2.3", True, True),
        ("rack1-cs0", "1.2.3", False, True),
        ("rack1-cs1", "1.2.3", False, True),
    }
    cluster.write("a/b", "two\nlines", via="rack1-cs0")
    assert cluster.read("a/b") == "two\nlines"
    assert cluster.read("a/c", via="rack1-cs1") is None
    assert cluster.read_prefix("a/") == {"a/b": "two\nlines"}


def test_a_member_that_does_not_serve_is_told_with_what_its_check_says(dc: FakeDataCenter) -> None:
    cluster = ScriptDeployer().deploy(dc)
    (state(dc) / "rack1-cs0").rmdir()
    with pytest.raises(WaitTimeout, match=r"rack1-cs0: `.*/do serving` exits 1: not installed"):
        cluster.wait_serving()
    assert [each.server for each in cluster.state() if not each.healthy] == ["rack1-cs0"]
    cluster.wait_serving(members=["rack0-cp0"])
    cluster.join(dc.servers["rack1-cs0"])
    cluster.wait_serving()


def test_one_that_serves_but_takes_no_write_does_not_serve(dc: FakeDataCenter) -> None:
    cluster = ScriptDeployer().deploy(dc)
    (state(dc) / "readonly").touch()
    with pytest.raises(WaitTimeout, match="write vdc/serving/rack0-cp0 via rack0-cp0: rack0-cp0: exits 5"):
        cluster.wait_serving()


def test_a_step_that_fails_names_itself_the_server_and_the_log(dc: FakeDataCenter) -> None:
    state(dc).mkdir(parents=True)
    (state(dc) / "broken").touch()
    with pytest.raises(ClusterError) as raised:
        ScriptDeployer().deploy(dc)
    message = str(raised.value)
    assert "script: step 1 for rack0-cp0: " in message
    assert "exited 7: no disk on rack0-cp0" in message
    assert f"log: {dc.run_directory / 'script' / '1-rack0-cp0.log'}" in message
    with pytest.raises(ClusterError, match="no cluster is deployed"):
        ScriptDeployer().attach(dc)


def test_commands_find_the_inventory_in_their_environment(dc: FakeDataCenter) -> None:
    ScriptDeployer().deploy(dc)
    env = environment(dc, dc.topology.server("rack1-cs1"))
    assert (env["VDC_INSTANCE"], env["VDC_SERVER"], env["VDC_ROLE"], env["VDC_RACK"]) == ("t", "rack1-cs1", "cs", "1")
    assert env["VDC_ADDRESS"] == str(dc.topology.server("rack1-cs1").node.ip)
    assert env["VDC_NETNS"] == "vdc-t.external"
    devices = json.loads(Path(env["VDC_INVENTORY"]).read_text(encoding="utf-8"))
    assert [server["name"] for server in devices["servers"]] == [server.name for server in dc.topology.servers]
    assert "Host rack1-cs1\n" in Path(env["VDC_SSH_CONFIG"]).read_text(encoding="utf-8")
    assert "ansible_host" in Path(env["VDC_ANSIBLE_INVENTORY"]).read_text(encoding="utf-8")
    assert f"{env['VDC_ADDRESS']} rack1-cs1\n" in Path(env["VDC_HOSTS"]).read_text(encoding="utf-8")
    assert "VDC_SERVER" not in environment(dc, None)


def test_what_the_file_has_no_command_for_is_said(topology: Topology, tmp_path: Path) -> None:
    assert topology.script is not None
    mute = replace(topology, script=replace(topology.script, write=(), read=(), list=()))
    cluster = ScriptDeployer().deploy(FakeDataCenter(mute, tmp_path / "mute"))
    with pytest.raises(ClusterError, match=r"script: no command `write`") as raised:
        cluster.write("a", "b")
    assert "script: {write:" in str(raised.value.hint)


def test_a_member_that_there_is_not_is_refused(dc: FakeDataCenter) -> None:
    with pytest.raises(ClusterError, match="no member 'x'; there are rack0-cp0, rack1-cs0, rack1-cs1"):
        ScriptDeployer().deploy(dc).read("a", via="x")


def test_what_cannot_work_is_refused_before_anything_is_built(topology: Topology, tmp_path: Path) -> None:
    deployer = ScriptDeployer()
    deployer.check(topology)
    with pytest.raises(InputError, match="t has no commands that deploy a cluster"):
        deployer.check(replace(topology, script=None))
    with pytest.raises(InputError, match="no servers"):
        deployer.check(replace(topology, servers=()))
    (tmp_path / "do").chmod(0o644)
    with pytest.raises(HostError, match=r"script: .*/do is no program") as raised:
        deployer.check(topology)
    assert f"chmod +x {tmp_path / 'do'}" in str(raised.value)


def test_a_changed_command_is_another_deployment(dc: FakeDataCenter, topology: Topology, tmp_path: Path) -> None:
    ScriptDeployer().deploy(dc)
    before, made = commands_digest(topology), len(calls(dc))
    (tmp_path / "do").write_text(f"{COMMAND}# changed\n", encoding="utf-8")
    assert commands_digest(topology) != before
    ScriptDeployer().deploy(dc)
    assert [call for call in calls(dc)[made:] if call.startswith("install")]


def test_a_topology_with_commands_is_deployed_by_them(topology: Topology) -> None:
    assert default_deployer(topology) == "script"
    assert isinstance(DEPLOYERS["script"](), ScriptDeployer)


def test_words_that_are_paths_are_relative_to_the_file(topology: Topology, tmp_path: Path) -> None:
    assert topology.script is not None
    assert topology.script.deploy[0].run == (str(tmp_path / "do"), "install")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep what a command starts together")
def test_what_a_command_has_started_ends_with_it(topology: Topology, tmp_path: Path) -> None:
    assert topology.script is not None
    (tmp_path / "do").write_text(f"#!/bin/sh\nflock {tmp_path}/held sleep 600 & wait\n", encoding="utf-8")
    late = replace(topology, script=replace(topology.script, timeout=0.3))
    with pytest.raises(ClusterError, match="still running"):
        ScriptDeployer().deploy(FakeDataCenter(late, tmp_path / "late"))

    def free() -> None:
        try:
            with exclusive(tmp_path / "held", wait=False):
                return
        except BlockingIOError as error:
            raise NotYet("it is held") from error

    wait_for(free, what="the lock to be free", timeout=10.0)


def test_half_a_deployment_is_known_as_one(dc: FakeDataCenter) -> None:
    assert not ScriptDeployer().begun(dc)
    state(dc).mkdir(parents=True)
    (state(dc) / "broken").touch()
    with pytest.raises(ClusterError):
        ScriptDeployer().deploy(dc)
    assert ScriptDeployer().begun(dc)
