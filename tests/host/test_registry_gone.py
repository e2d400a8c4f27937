"""A registry outside that a real guest no longer reaches, and reaches again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import Command
from tests.host.test_faults import kill, start_harness
from tests.host.test_power_faults import wait_let_go
from vdc.datacenter import lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import RegistryGone, injected
from vdc.faults.leftovers import expect_nothing_left
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

NAME, SERVER, PORT = "t-registry", "rack0-cp0", 5000
FAULT = RegistryGone(SERVER)

TOPOLOGY = """
name: registry
release: kubernetes-1.20
fabric: {borders: 1, spines: 1, tors: 1}
racks: [servers: {cp: 1}]
roles: {cp: {cpu: 2, memory: 1536MiB, data: 2GiB, pod_blocks: 1}}
external: {clients: 1}
pools: {load_balancer: 10.140.0.0/24}
kubernetes: {registry_mirrors: {docker.io: "http://ADDRESS:5000"}}
"""


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDataCenter]:
    """A node that has its images from a client outside."""
    folder = tmp_path_factory.mktemp("registry")
    file = folder / "registry.yml"
    file.write_text(TOPOLOGY.replace("ADDRESS", "192.0.2.1"))
    client = expand(load(file)).externals[0]
    file.write_text(TOPOLOGY.replace("ADDRESS", str(client.addresses[0].ip)))
    vdc("up", str(file), "--name", NAME, timeout=900)
    dc = lifecycle.attach(NAME, settings, Steps())
    with (folder / "log").open("wb") as log:
        argv = [sys.executable, "-m", "http.server", str(PORT), "--bind", str(client.addresses[0].ip)]
        registry = dc.externals[client.name].start(argv, output=log)
        try:
            wait_for(lambda: expect_offered(dc), what="the registry to answer", timeout=60)
            yield dc
        finally:
            registry.kill()
            registry.wait()
            lifecycle.down(NAME, settings, Steps())


def expect_offered(dc: LiveDataCenter) -> None:
    if lacks := FAULT.missing(dc):
        raise NotYet(lacks)


def tables(dc: LiveDataCenter) -> str:
    return dc.servers[SERVER].run(["nft", "list", "tables"]).stdout


def test_a_registry_is_gone_for_a_server_and_is_back(one: LiveDataCenter) -> None:
    with pytest.raises(NotYet, match="still answers"):
        FAULT.bites(one)
    with injected(one, FAULT):
        assert "vdc-fault-" in tables(one)
    assert "vdc-fault-" not in tables(one)
    expect_nothing_left(one)
    assert one.dirty() is None


def test_it_is_healed_by_its_lease_where_the_harness_is_killed(one: LiveDataCenter, tmp_path: Path) -> None:
    kill(start_harness(one, FAULT, 600.0, tmp_path / "log"))
    wait_let_go(one)
    FAULT.healed(one)
    assert "vdc-fault-" not in tables(one)
    expect_nothing_left(one)
    assert one.dirty() is None
