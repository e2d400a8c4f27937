"""What a node gets of the agent, and what the API lets it do."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.cluster.kubernetes.agent.settings import Settings, load
from vdc.cluster.kubernetes.agent_files import AGENT_CONFIG, AGENT_PROGRAM, agent_files, agent_manifests
from vdc.cluster.kubernetes.spec import ClusterSpec, cluster_spec
from vdc.model.expand import expand
from vdc.model.load import load as load_topology
from vdc.plan.bird import SERVICE_FILES

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "agent"


def cluster(version: str = "1.20.2", *, slowness: float = 1.0, file: str = "k8s-small.yml") -> ClusterSpec:
    topology = expand(load_topology(ROOT / "topologies" / file))
    return cluster_spec(topology, name="test", versions={"kubernetes": version}, slowness=slowness)


def settings(of: ClusterSpec, folder: Path, node: int = 0) -> Settings:
    path = folder / "config.json"
    path.write_text(agent_files(of, of.nodes[node])[AGENT_CONFIG])
    return load(path)


def test_the_unit_and_the_configuration_are_as_before(golden: Golden) -> None:
    of = cluster()
    for node in of.nodes[:2]:
        files = agent_files(of, node)
        golden(GOLDEN / f"{node.name}.json", files[AGENT_CONFIG])
        golden(GOLDEN / "vdc-agent.service", files["/etc/systemd/system/vdc-agent.service"])


def test_the_rules_are_as_before(golden: Golden) -> None:
    golden(GOLDEN / "manifests.json", json.dumps(agent_manifests(), indent=1) + "\n")


def test_the_agent_reads_what_it_is_told(tmp_path: Path) -> None:
    of = cluster()
    first, second = settings(of, tmp_path), settings(of, tmp_path, 1)
    assert first.node == "rack0-cp0"
    assert first.addresses == (IPv4Address("10.64.0.1"),)
    assert (first.allocates, second.allocates) == (True, False)


@pytest.mark.parametrize(("version", "wanted"), [("1.20.2", "v1beta1"), ("1.21.0", "v1"), ("1.35.0", "v1")])
def test_the_version_of_slices_follows_that_of_kubernetes(version: str, wanted: str, tmp_path: Path) -> None:
    assert settings(cluster(version), tmp_path).slices == f"discovery.k8s.io/{wanted}"


def test_the_lease_is_that_of_leaders_on_a_host_of_that_speed(tmp_path: Path) -> None:
    slow, quick = settings(cluster(slowness=1.0), tmp_path), settings(cluster(slowness=0.1), tmp_path)
    assert slow.lease_seconds > quick.lease_seconds == 15.0


def test_an_address_that_a_server_announces_is_given_to_no_service(tmp_path: Path) -> None:
    of = cluster()
    servers = list(of.topology.servers)
    announced = (IPv4Interface("10.140.0.9/32"), IPv4Interface("10.141.0.1/32"))
    servers[0] = replace(servers[0], announces=announced)
    of = replace(of, topology=replace(of.topology, servers=tuple(servers)))
    assert settings(of, tmp_path).taken == {IPv4Address("10.140.0.9")}


def test_the_program_is_whole_and_needs_nothing_but_python() -> None:
    of = cluster()
    files = agent_files(of, of.nodes[0])
    program = {path: text for path, text in files.items() if path.startswith(AGENT_PROGRAM)}
    assert f"{AGENT_PROGRAM}/__main__.py" in program
    for path, text in program.items():
        for statement in ast.walk(ast.parse(text)):
            names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
            if isinstance(statement, ast.ImportFrom) and statement.level:
                assert f"{AGENT_PROGRAM}/{statement.module}.py" in program, path
            elif isinstance(statement, ast.ImportFrom):
                names = [str(statement.module)]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, path


def test_bird_includes_what_the_agent_writes(tmp_path: Path) -> None:
    written = settings(cluster(), tmp_path).services
    assert written.match(SERVICE_FILES)
