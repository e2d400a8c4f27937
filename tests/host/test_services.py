"""Addresses of services, announced by servers and followed through the fabric: BIRDs in namespaces play the servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from vdc.cluster.kubernetes.agent.announcing import bird_text
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.datacenter.router import LiveClient, LiveRouter
from vdc.host import engine
from vdc.host.engine import Build
from vdc.model.load import read_topology
from vdc.model.topology import Server, Tier, Topology
from vdc.plan.bird import SERVICE_FILES, server_config
from vdc.plan.plan import PlanContext, make_plan
from vdc.plan.resources import Resource
from vdc.plan.resources.network import Bridge, DefaultRoute, Loopback, Namespace, Plug, Veth
from vdc.plan.resources.processes import Bird
from vdc.plan.servers import NETWORK, guest_files
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

TOPOLOGY = """\
release: kubernetes-1.20
fabric: {spines: 2, borders: 2}
racks: [{servers: {cp: 1, cs: 1}}, {count: 2, servers: {cs: 1}}]
roles: {cp: {memory: 1536MiB, pod_blocks: 1}, cs: {memory: 1GiB, pod_blocks: 1}}
pools: {load_balancer: 10.140.0.0/24}
kubernetes: {}
"""
KINDS = {
    "ebgp": "",
    "ibgp_exposed": "routing: {rack: ibgp, exposed: true}\n",
}
SERVICE = IPv4Network("10.140.0.7/32")
_KEPT = (Namespace, Bridge, Veth, Loopback, Bird, DefaultRoute)
"""What of a plan is not a guest's."""

BACKENDS = ("rack0-cs0", "rack1-cs0", "rack2-cs0")


class Housed(LiveDataCenter):
    """A data centre whose servers are namespaces."""

    @cached_property
    def servers(self) -> Any:
        return MappingProxyType(
            {
                each.name: LiveRouter(
                    spec=cast(Any, each),
                    daemon=cast(Bird, self.plan.resource(f"bird:{each.name}")),
                    recorder=self.recorder,
                    servers=dict,
                    configure=str,
                    unpack=lambda _: Path(),
                )
                for each in self.topology.servers
            }
        )

    def announce(self, server: str, *services: IPv4Network) -> None:
        """Do what the agent of a server does."""
        folder = self.run_directory / f"vdc-agent-{server}"
        folder.mkdir(exist_ok=True)
        (folder / "services.conf").write_text(bird_text([each.network_address for each in services]))
        self.servers[server].ask_bird("configure")


def housing(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what plays a server: a namespace with its NICs and its BIRD."""
    netns = context.device_netns(server.name)
    yield Namespace(name=netns, forwarding=True)
    yield Loopback(netns=netns, addresses=())
    for port in server.ports:
        near = Plug(netns=netns, name=port.interface, mac=port.mac)
        yield Veth(a=near, b=Plug(netns=context.netns, name=port.tap, bridge=port.segment))
    files = str(context.run_directory / f"vdc-agent-{server.name}" / "services.conf")
    config = server_config(server, topology, context).replace("log syslog", f'log "{context.run_directory}/bird.log"')
    yield Bird(
        router=server.name,
        netns=netns,
        config=config.replace(SERVICE_FILES, files.replace("vdc-agent-", "vdc-agent-*")),
        config_path=str(context.bird_file(server.name, "conf")),
        control=str(context.bird_file(server.name, "ctl")),
    )


def build(dc: LiveDataCenter) -> dict[str, float]:
    made = Build(plan=dc.plan, settings=dc.settings, secrets=dc.secrets)
    engine.apply(made, only=lambda each: not isinstance(each, Bird))
    for server in dc.topology.servers:
        text = guest_files(server, dc.topology, dc.plan.context)[NETWORK]
        # this kernel may have no dummy interfaces
        dummy, pair = "link add node0 type dummy", "link add node0 type veth peer name other\nlink set other up"
        lines = [line for line in text.replace(dummy, pair).splitlines() if " mtu " not in line]
        ports = [f"link set {port.interface} up" for port in server.ports]
        client = LiveClient(name=server.name, netns=dc.plan.context.device_netns(server.name))
        client.run(["ip", "-batch", "-"], stdin="\n".join([*lines, *ports, ""]))
    engine.apply(made, only=lambda each: isinstance(each, Bird))
    return {}


@pytest.fixture(scope="module", params=KINDS)
def housed(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Housed]:
    name = "t-services"
    file = tmp_path_factory.mktemp(name) / "services.yml"
    file.write_text(f"name: {name}\n{TOPOLOGY}{KINDS[request.param]}")
    topology = read_topology(file)
    context = PlanContext(
        instance=name,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator="tcg",
        slowness=0.1,
    )
    plan = make_plan(topology, context)
    kept = [each for each in plan.resources if isinstance(each, _KEPT)]
    played = [each for server in topology.servers for each in housing(server, topology, context)]
    plan = replace(plan, resources=(*kept, *played))
    lifecycle.create(plan, settings, Steps(), build)
    dc = Housed(plan=plan, settings=settings, steps=Steps())
    try:
        wait_converged(dc, timeout=30)
        yield dc
    finally:
        lifecycle.down(name, settings, Steps())


def hops(dc: Housed, device: str) -> frozenset[str]:
    """Which next hops a router has for the service."""
    return frozenset(map(str, dc.routers[device].routes().get(SERVICE, ())))


def wait_hops(dc: Housed, device: str, count: int) -> None:
    def enough() -> None:
        if len(found := hops(dc, device)) != count:
            raise NotYet(f"{device} has {sorted(found)}")

    wait_for(enough, what=f"{count} next hops", timeout=15)


def test_an_address_is_spread_over_the_racks_and_goes_with_its_last_backend(housed: Housed) -> None:
    spines = [each.name for each in housed.topology.tier(Tier.SPINE)]
    borders = [each.name for each in housed.topology.tier(Tier.BORDER)]
    exposed = housed.topology.routing.exposed
    assert spines
    assert borders
    for server in BACKENDS:
        housed.announce(server, SERVICE)
    for spine in spines:
        wait_hops(housed, spine, 6)  # two ToRs of each of three racks
    for border in borders:
        # exposed, it knows the pool and not the address
        wait_hops(housed, border, 0 if exposed else len(spines))
    wait_converged(housed, timeout=15)
    housed.announce(BACKENDS[0])
    for spine in spines:
        wait_hops(housed, spine, 4)
    for server in BACKENDS[1:]:
        housed.announce(server)
    for router in housed.topology.routers:
        wait_hops(housed, router.name, 0)


def test_a_client_outside_reaches_a_service_until_it_goes(housed: Housed) -> None:
    client, server = housed.externals["external"], housed.servers[BACKENDS[1]]
    server.run(["ip", "addr", "add", str(SERVICE), "dev", "lo"])
    try:
        housed.announce(BACKENDS[1], SERVICE)
        wait_for(lambda: expect_reaches(client, SERVICE.network_address), what="the service", timeout=15)
        housed.announce(BACKENDS[1])
        wait_for(lambda: expect_cut_off(client, SERVICE.network_address), what="it to go", timeout=15)
    finally:
        server.run(["ip", "addr", "del", str(SERVICE), "dev", "lo"])


def test_nothing_but_addresses_of_the_pool_is_announced(housed: Housed) -> None:
    foreign, wide = IPv4Network("10.141.0.1/32"), IPv4Network("10.140.0.8/30")
    folder = housed.run_directory / f"vdc-agent-{BACKENDS[0]}"
    housed.announce(BACKENDS[0], SERVICE)
    text = (folder / "services.conf").read_text()
    more = "".join(f'\troute {each} via "node0";\n' for each in (foreign, wide))
    (folder / "services.conf").write_text(text.replace("}\n", f"{more}}}\n"))
    housed.servers[BACKENDS[0]].ask_bird("configure")
    wait_hops(housed, "spine0", 2)
    for router in housed.routers.values():
        assert {foreign, wide} & set(router.routes()) == set()
    housed.announce(BACKENDS[0])
    wait_hops(housed, "spine0", 0)


def test_a_server_that_announces_an_address_can_itself_connect_to_it(housed: Housed) -> None:
    housed.announce(BACKENDS[0], SERVICE)
    server = housed.servers[BACKENDS[0]]

    def begins() -> None:
        for address in (SERVICE.network_address, "10.96.0.1"):
            said = server.run(["ip", "route", "get", str(address)], check=False).stdout
            if "dev node0 src 10.64.0.2" not in said:
                raise NotYet(said)

    wait_for(begins, what="a route", timeout=15)
    housed.announce(BACKENDS[0])


def test_what_a_server_masquerades_is_answered_from_another_rack(housed: Housed) -> None:
    """Nobody outside of its rack has a route to the address of a NIC."""
    server, far = housed.servers[BACKENDS[0]], housed.topology.server(BACKENDS[1])
    rules = "table ip t { chain c { type nat hook postrouting priority srcnat; masquerade; }; }\n"
    server.run(["nft", "-f", "-"], stdin=rules)
    try:
        expect_reaches(server, far.node.ip)
    finally:
        server.run(["nft", "delete", "table", "ip", "t"])
