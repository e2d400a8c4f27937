from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Interface
from itertools import combinations

import networkx as nx
from hypothesis import HealthCheck, given, settings

from tests.model.strategies import small, specs, topologies
from vdc.model import addressing
from vdc.model.checks import CHECKS
from vdc.model.expand import expand
from vdc.model.routing import expected_routes, speakers
from vdc.model.spec import TopologySpec
from vdc.model.topology import Server, Tier, Topology

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def graph(topology: Topology) -> nx.Graph:
    """Who is cabled to whom, of those that speak BGP; a server to its ToRs."""
    drawn = nx.Graph()
    drawn.add_nodes_from(speaker.name for speaker in speakers(topology))
    drawn.add_edges_from((link.a.device, link.b.device) for link in topology.links)
    drawn.add_edges_from((server.name, port.tor) for server in topology.servers for port in server.ports)
    return drawn


def addresses(topology: Topology) -> list[IPv4Interface]:
    found = [router.loopback for router in topology.routers]
    found += [end.address for router in topology.routers for end in router.interfaces]
    found += [server.node for server in topology.servers]
    found += [port.address for server in topology.servers for port in server.ports]
    return found + [external.address for external in topology.externals]


def test_small_has_the_devices_the_issue_asks_for() -> None:
    topology = small()
    assert [router.name for router in topology.routers] == [
        "border0", "spine0", "spine1",
        "rack0-tor0", "rack0-tor1", "rack1-tor0", "rack1-tor1", "rack2-tor0", "rack2-tor1",
    ]  # fmt: skip
    assert [server.name for server in topology.servers] == ["rack0-cs0", "rack1-cs0", "rack2-cs0"]
    assert [external.name for external in topology.externals] == ["external"]
    assert len(topology.links) == 2 + 12
    assert all(len(server.ports) == 2 for server in topology.servers)


def test_small_is_numbered_as_documented() -> None:
    topology = small()
    server = topology.server("rack1-cs0")
    assert str(server.node) == "10.64.0.2/32"
    assert [str(port.address) for port in server.ports] == ["10.2.0.130/26", "10.2.0.194/26"]
    assert [port.tap for port in server.ports] == ["rack1-cs0.0", "rack1-cs0.1"]
    assert server.asn == 4200100001
    tor = topology.router("rack1-tor1")
    assert (tor.rack, tor.index, tor.asn, str(tor.loopback)) == (1, 1, 4200010003, "10.1.0.7/32")
    assert [end.interface for end in tor.interfaces] == ["spine0", "spine1", "servers"]
    assert str(tor.interfaces[-1].address) == "10.2.0.193/26"
    assert str(topology.externals[0].address) == "10.128.0.2/24"
    assert [str(gateway) for gateway in topology.externals[0].gateways] == ["10.128.0.1"]


def test_spines_share_an_as_number_and_tors_do_not() -> None:
    topology = small()
    assert len({router.asn for router in topology.tier(Tier.SPINE)}) == 1
    assert len({router.asn for router in topology.tier(Tier.TOR)}) == 6


@quick
@given(specs)
def test_any_topology_of_the_default_pools_passes_the_checks(spec: TopologySpec) -> None:
    assert [finding for check in CHECKS for finding in check(spec)] == []


@quick
@given(topologies)
def test_no_two_things_share_an_address_a_mac_or_a_name(topology: Topology) -> None:
    macs = [port.mac for server in topology.servers for port in server.ports]
    names = [speaker.name for speaker in speakers(topology)] + [each.name for each in topology.externals]
    taps = [port.tap for server in topology.servers for port in server.ports]
    for things in ([interface.ip for interface in addresses(topology)], macs, names, taps):
        assert [thing for thing, count in Counter(things).items() if count > 1] == []


@quick
@given(topologies)
def test_macs_are_locally_administered_and_unicast(topology: Topology) -> None:
    for server in topology.servers:
        for port in server.ports:
            assert int(port.mac[:2], 16) & 0b11 == 0b10


@quick
@given(specs)
def test_every_address_is_within_its_pool(spec: TopologySpec) -> None:
    topology, pools = expand(spec), spec.pools
    for router in topology.routers:
        assert router.loopback.ip in pools.loopback
    for server in topology.servers:
        assert server.node.ip in pools.node
        assert all(port.address.ip in pools.segment for port in server.ports)
    for link in topology.links:
        assert link.a.address.ip in pools.link
        assert link.b.address.ip in pools.link
    for external in topology.externals:
        assert external.address.ip in pools.external


@quick
@given(topologies)
def test_both_ends_of_every_link_agree(topology: Topology) -> None:
    for link in topology.links:
        assert link.a.address.network == link.b.address.network
        assert link.a.address.network.prefixlen == 31
        assert (link.a.interface, link.b.interface) == (link.b.device, link.a.device)


@quick
@given(topologies)
def test_no_two_networks_overlap(topology: Topology) -> None:
    networks = [segment.prefix for segment in topology.segments]
    networks += [link.a.address.network for link in topology.links]
    assert [pair for pair in combinations(networks, 2) if pair[0].overlaps(pair[1])] == []


@quick
@given(topologies)
def test_every_session_has_its_other_end(topology: Topology) -> None:
    asns = {speaker.name: speaker.asn for speaker in speakers(topology)}
    sessions = [session for speaker in speakers(topology) for session in speaker.sessions]
    ends = {(each.device, each.local, each.peer_device, each.peer) for each in sessions}
    assert ends == {(peer_device, peer, device, local) for device, local, peer_device, peer in ends}
    assert all(each.peer_asn == asns[each.peer_device] != asns[each.device] for each in sessions)


@quick
@given(topologies)
def test_interface_names_fit_the_kernel(topology: Topology) -> None:
    names = [end.interface for router in topology.routers for end in router.interfaces]
    names += [port.tap for server in topology.servers for port in server.ports]
    names += [addressing.leg_name(router.name) for router in topology.routers]
    assert [name for name in names if len(name) > addressing.IFNAMSIZ] == []


@quick
@given(topologies)
def test_every_pair_of_servers_has_a_path(topology: Topology) -> None:
    drawn = graph(topology)
    for one, other in combinations(topology.servers, 2):
        assert nx.has_path(drawn, one.name, other.name)


@quick
@given(topologies)
def test_dual_homed_servers_survive_the_loss_of_any_one_spine_or_tor(topology: Topology) -> None:
    if len(topology.tier(Tier.SPINE)) < 2 or any(len(server.ports) < 2 for server in topology.servers):
        return
    for lost in (*topology.tier(Tier.SPINE), *topology.tier(Tier.TOR)):
        drawn = graph(topology)
        drawn.remove_node(lost.name)
        for one, other in combinations(topology.servers, 2):
            assert nx.has_path(drawn, one.name, other.name), f"{lost.name} lost"


@quick
@given(topologies)
def test_bgp_routes_to_servers_are_exactly_the_shortest_paths_through_routers(topology: Topology) -> None:
    """An oracle that knows nothing of BGP: in a healthy CLOS the fewest ASes are the fewest cables."""
    routes = expected_routes(topology)
    for target in topology.servers:
        for device in speakers(topology):
            if device.name == target.name:
                continue
            others = {server.name for server in topology.servers} - {target.name, device.name}
            drawn = graph(topology)
            drawn.remove_nodes_from(others)
            distance = nx.single_source_shortest_path_length(drawn, target.name)
            nearer = {s.peer for s in device.sessions if distance.get(s.peer_device, 99) < distance[device.name]}
            assert routes[device.name][target.node.network] == nearer


def test_expanding_twice_gives_the_same() -> None:
    assert small() == small()


def test_a_server_is_at_its_position_in_the_rack_on_every_segment() -> None:
    servers: dict[tuple[int, int], Server] = {(server.rack, server.index): server for server in small().servers}
    for (_, position), server in servers.items():
        for port in server.ports:
            assert port.address.ip == port.address.network.network_address + 2 + position
