"""What a cluster's services mean for routing, to the letter; without a cluster nothing changes (`test_golden`)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.model.announcing import Change
from vdc.model.deployment import Kubernetes
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.plan.bird import router_config, server_config
from vdc.plan.context import PlanContext
from vdc.plan.servers import NETWORK, guest_files

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
GOLDEN = Path(__file__).parents[1] / "golden" / "services"
CONTEXT = PlanContext(
    instance="services",
    state_dir=Path("/var/lib/vdc"),
    cache_dir=Path("/var/cache/vdc"),
    accelerator="tcg",
    slowness=1.0,
)


@pytest.fixture
def topology() -> Topology:
    return expand(load(TOPOLOGIES / "k8s-small.yml"))


def without_balancers(topology: Topology) -> Topology:
    assert topology.kubernetes is not None
    return replace(topology, kubernetes=replace(topology.kubernetes, load_balancers=()))


def test_a_node_announces_what_its_agent_writes_and_its_tor_takes_it(topology: Topology, golden: Golden) -> None:
    golden(GOLDEN / "server.conf", server_config(topology.servers[0], topology, CONTEXT))
    golden(GOLDEN / "tor.conf", router_config(topology.router("rack0-tor0"), topology, CONTEXT))


def test_a_router_claims_what_is_not_its_own_and_withholds_what_is(topology: Topology, golden: Golden) -> None:
    router = topology.router("rack0-tor0")
    change = Change(more=(ip_network("10.64.0.17/32"),), less=(router.loopback.network,))
    golden(GOLDEN / "claiming.conf", router_config(router, topology, CONTEXT, change))


def test_the_addresses_of_its_nics_stay_in_the_rack(topology: Topology, golden: Golden) -> None:
    golden(GOLDEN / "network", guest_files(topology.servers[0], topology, CONTEXT)[NETWORK])


def test_without_load_balancers_nothing_more_is_announced(topology: Topology) -> None:
    bare = without_balancers(topology)
    text = server_config(bare.servers[0], bare, CONTEXT)
    assert "include" not in text
    assert "export where net ~ ORIGINATED4;" in text
    assert 'route 10.96.0.0/16 via "node0";' in text
    assert "10.140" not in router_config(bare.router("rack0-tor0"), bare, CONTEXT)


def test_a_server_that_is_no_node_announces_no_service(topology: Topology) -> None:
    outside = replace(topology.servers[0], image="custom")
    text = server_config(outside, topology, CONTEXT)
    assert "include" not in text
    assert "virtual" not in text


def test_only_a_kubernetes_topology_knows_services() -> None:
    plain = expand(load(TOPOLOGIES / "small.yml"))
    with_it = replace(plain, kubernetes=Kubernetes(control_planes=(), pods=(), services=()))
    for each in (plain, with_it):
        assert "include" not in server_config(each.servers[0], each, CONTEXT)
