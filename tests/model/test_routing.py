from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network, ip_network

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings

from tests.model.bgp import prefixes, settled
from tests.model.strategies import FOLDER, plain_topologies, small, topologies
from vdc.model.expand import expand
from vdc.model.ip import Address, Prefix
from vdc.model.load import load, parse
from vdc.model.routing import expected_routes, expected_sessions, speakers
from vdc.model.topology import End, Server, Tier, Topology

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def topology() -> Topology:
    return small()


def node(topology: Topology, server: str) -> Prefix:
    return topology.server(server).node.network


def loopback(topology: Topology, router: str) -> Prefix:
    return topology.router(router).loopback.network


def via(topology: Topology, device: str, *peers: str) -> frozenset[Address]:
    """The addresses at which `device` speaks to `peers`, read from the topology's sessions."""
    (speaker,) = (each for each in speakers(topology) if each.name == device)
    found = {session.peer_device: session.peer for session in speaker.sessions}
    return frozenset(found[peer] for peer in peers)


def test_a_tor_reaches_another_rack_over_both_spines(topology: Topology) -> None:
    routes = expected_routes(topology)["rack0-tor0"]
    assert routes[node(topology, "rack1-cs0")] == via(topology, "rack0-tor0", "spine0", "spine1")


def test_a_tor_reaches_its_own_server_directly(topology: Topology) -> None:
    routes = expected_routes(topology)["rack0-tor0"]
    assert routes[node(topology, "rack0-cs0")] == via(topology, "rack0-tor0", "rack0-cs0")


def test_a_server_reaches_every_other_over_both_tors(topology: Topology) -> None:
    routes = expected_routes(topology)["rack0-cs0"]
    for other in ("rack1-cs0", "rack2-cs0"):
        assert routes[node(topology, other)] == via(topology, "rack0-cs0", "rack0-tor0", "rack0-tor1")


def test_the_border_reaches_a_server_over_both_spines(topology: Topology) -> None:
    routes = expected_routes(topology)["border0"]
    assert routes[node(topology, "rack2-cs0")] == via(topology, "border0", "spine0", "spine1")


def test_a_spine_reaches_a_rack_over_both_its_tors(topology: Topology) -> None:
    routes = expected_routes(topology)["spine0"]
    assert routes[node(topology, "rack2-cs0")] == via(topology, "spine0", "rack2-tor0", "rack2-tor1")


def test_the_external_prefix_is_everywhere_but_a_bgp_route_nowhere_at_its_border(topology: Topology) -> None:
    outside = ip_network("10.128.0.0/24")
    routes = expected_routes(topology)
    assert {device for device in routes if outside in routes[device]} == set(routes) - {"border0"}
    assert routes["rack0-cs0"][outside] == via(topology, "rack0-cs0", "rack0-tor0", "rack0-tor1")


def test_spines_have_no_route_to_each_other_for_they_share_an_as_number(topology: Topology) -> None:
    assert loopback(topology, "spine1") not in expected_routes(topology)["spine0"]


def test_no_device_has_a_bgp_route_to_what_it_originates(topology: Topology) -> None:
    routes = expected_routes(topology)
    assert all(loopback(topology, router.name) not in routes[router.name] for router in topology.routers)
    assert all(server.node.network not in routes[server.name] for server in topology.servers)


def test_without_a_tor_its_server_has_one_next_hop_and_the_dead_have_none(topology: Topology) -> None:
    routes = expected_routes(topology, down=["rack0-tor0"])
    assert "rack0-tor0" not in routes
    assert routes["rack0-cs0"][node(topology, "rack1-cs0")] == via(topology, "rack0-cs0", "rack0-tor1")
    assert routes["spine0"][node(topology, "rack0-cs0")] == via(topology, "spine0", "rack0-tor1")
    dead = topology.router("rack0-tor0").loopback.network
    assert all(dead not in table for table in routes.values())


def test_without_a_spine_every_tor_has_one_way_out(topology: Topology) -> None:
    routes = expected_routes(topology, down=["spine1"])
    assert routes["rack0-tor0"][node(topology, "rack1-cs0")] == via(topology, "rack0-tor0", "spine0")


def test_a_dead_server_is_in_no_table(topology: Topology) -> None:
    routes = expected_routes(topology, down=["rack1-cs0"])
    assert "rack1-cs0" not in routes
    assert all(node(topology, "rack1-cs0") not in table for table in routes.values())


def test_with_a_server_cable_cut_the_tor_goes_round_by_the_spines(topology: Topology) -> None:
    routes = expected_routes(topology, cut=[("rack0-cs0", "eth0")])
    assert routes["rack0-tor0"][node(topology, "rack0-cs0")] == via(topology, "rack0-tor0", "spine0", "spine1")
    assert routes["rack0-cs0"][node(topology, "rack1-cs0")] == via(topology, "rack0-cs0", "rack0-tor1")


def test_a_server_is_never_transit(topology: Topology) -> None:
    routes = expected_routes(topology, cut=[("rack0-tor0", "spine0"), ("rack0-tor0", "spine1")])
    assert set(routes["rack0-tor0"]) == {node(topology, "rack0-cs0")}


def test_a_link_cut_at_either_end_is_the_same_cut(topology: Topology) -> None:
    one = expected_routes(topology, cut=[("spine0", "rack0-tor0")])
    other = expected_routes(topology, cut=[("rack0-tor0", "spine0")])
    assert one == other != expected_routes(topology)


def test_a_spine_cut_off_from_a_tor_goes_by_no_other_spine(topology: Topology) -> None:
    routes = expected_routes(topology, cut=[("spine0", "rack0-tor0")])
    assert loopback(topology, "rack0-tor0") not in routes["spine0"]
    assert routes["rack1-tor0"][loopback(topology, "rack0-tor0")] == via(topology, "rack1-tor0", "spine1")


def test_a_border_unplugged_from_outside_announces_it_no_more(topology: Topology) -> None:
    routes = expected_routes(topology, cut=[("border0", "external")])
    assert all(ip_network("10.128.0.0/24") not in table for table in routes.values())


def test_sessions_have_both_ends_alive_and_plugged_in(topology: Topology) -> None:
    everything = expected_sessions(topology)
    assert everything["rack0-tor0"] == {"spine0", "spine1", "rack0-cs0"}
    assert everything["rack0-cs0"] == {"rack0-tor0", "rack0-tor1"}
    broken = expected_sessions(topology, down=["spine0"], cut=[("rack0-tor0", "servers")])
    assert "spine0" not in broken
    assert broken["rack0-tor0"] == {"spine1"}
    assert broken["rack0-cs0"] == {"rack0-tor1"}
    assert broken["border0"] == {"spine1"}


def test_a_device_that_is_not_there_is_an_error_and_not_a_healthy_fabric(topology: Topology) -> None:
    with pytest.raises(KeyError, match="no device 'rack9-tor0'"):
        expected_routes(topology, down=["rack9-tor0"])
    with pytest.raises(KeyError, match="no interface 'eth7'"):
        expected_sessions(topology, cut=[("rack0-cs0", "eth7")])


def in_words(table: Mapping[Prefix, frozenset[Address]], prefix: str) -> list[str]:
    return sorted(map(str, table[ip_network(prefix)]))


def file(text: str) -> Topology:
    return expand(parse(f"name: x\n{text}", file="x.yml"))


@quick
@given(topologies)
def test_the_model_agrees_with_bgp_as_messages(topology: Topology) -> None:
    routes = expected_routes(topology)
    assert set(routes) == {speaker.name for speaker in speakers(topology)}
    for prefix in prefixes(topology):
        found = {device: table[prefix] for device, table in routes.items() if prefix in table}
        assert found == settled(topology, prefix), prefix


TANGLE = """
fabric: {borders: 2, superspines: 1, pods: 2, spines: 2, tors: 2}
racks: [{count: 3}]
networks: {lab: {prefixes: [192.0.2.0/24]}}
devices:
  a: {kind: router, interfaces: [{link: pod0-spine0}, {link: rack0-tor0}, {network: lab}]}
  b: {kind: router, interfaces: [{link: border0}, {link: a}]}
  c: {kind: router, interfaces: [{link: b}, {link: rack1-tor1}, {link: superspine0}]}
  d: {kind: router, interfaces: [{link: c}, {link: a}, {link: pod1-spine1}, {network: lab}]}
  e: {kind: router, interfaces: [{link: d}, {link: b}]}
  f: {kind: router, interfaces: [{link: rack2-tor0}, {link: e}, {link: border1}]}
"""


def test_where_equal_paths_differ_the_lowest_router_id_decides_which_is_told() -> None:
    """Routers beside the fabric that are wired to everywhere: whom a path may reach depends on the ASes in it."""
    topology = file(TANGLE)
    routes = expected_routes(topology)
    for prefix in prefixes(topology):
        found = {device: table[prefix] for device, table in routes.items() if prefix in table}
        assert found == settled(topology, prefix), prefix


@quick
@given(plain_topologies)
def test_routes_are_the_shortest_ways_over_all_neighbours_that_are_nearer(topology: Topology) -> None:
    """An oracle that knows nothing of BGP: in a healthy CLOS the fewest ASes are the fewest cables."""
    routes = expected_routes(topology)
    wired = nx.Graph((session.device, session.peer_device) for each in speakers(topology) for session in each.sessions)
    for target in topology.servers:
        drawn = wired.copy()
        drawn.remove_nodes_from({server.name for server in topology.servers} - {target.name})
        distance = nx.single_source_shortest_path_length(drawn, target.name)
        for device in speakers(topology):
            if device.name == target.name:
                continue
            away = {s.peer: distance[s.peer_device] for s in device.sessions if s.peer_device in distance}
            nearer = {peer for peer, there in away.items() if there == min(away.values())}
            assert routes[device.name][target.node.network] == nearer


@quick
@given(topologies)
def test_whichever_next_hops_packets_take_they_arrive(topology: Topology) -> None:
    """No loop and no dead end from any server to any other, however equal routes are chosen between."""
    routes = expected_routes(topology)
    at = {address.ip: end.device for end in every_end(topology) for address in end.addresses}
    at |= {end.link_local: end.device for link in topology.links for end in (link.a, link.b) if end.link_local}
    servers = [server for server in topology.servers if server.rack is not None]
    for target in servers:
        prefix = target.nodes[0].network
        ways = nx.DiGraph()
        for device, table in routes.items():
            ways.add_edges_from((device, at[hop]) for hop in table.get(prefix, ()))
        assert nx.is_directed_acyclic_graph(ways)
        assert all(node in ways and nx.has_path(ways, node, target.name) for node in names_of(servers, target))
        assert {node for node in ways if not ways.out_degree(node)} <= {target.name}


def every_end(topology: Topology) -> list[End]:
    ends = [end for link in topology.links for end in (link.a, link.b)]
    return ends + [end for segment in topology.segments for end in segment.ports]


def names_of(servers: list[Server], target: Server) -> list[str]:
    return [server.name for server in servers if server.name != target.name]


IBGP = "racks: [{count: 2, servers: {cs: 2}}]\nroles: {cs: {}}\nrouting: {rack: ibgp}\n"


def test_in_a_rack_with_ibgp_servers_reach_each_other_directly_on_both_segments() -> None:
    topology = file(IBGP)
    assert {each.asn for each in speakers(topology) if each.rack == 1} == {4200010001}
    assert in_words(expected_routes(topology)["rack0-cs0"], "10.64.0.2/32") == ["10.2.0.3", "10.2.0.67"]


def test_in_a_rack_with_ibgp_what_is_outside_is_reached_over_the_tors() -> None:
    table = expected_routes(file(IBGP))["rack0-cs0"]
    assert in_words(table, "10.64.0.17/32") == ["10.2.0.1", "10.2.0.65"]
    assert in_words(table, "10.128.0.0/24") == ["10.2.0.1", "10.2.0.65"]


def test_in_a_rack_with_ibgp_a_tor_that_lost_a_server_finds_no_way_round() -> None:
    """The other ToR's route comes back with the rack's own AS number in its path."""
    topology = file(IBGP)
    routes = expected_routes(topology, cut=[("rack0-cs0", "eth0")])
    target = ip_network("10.64.0.1/32")
    assert target not in routes["rack0-tor0"]
    assert in_words(routes["rack0-cs1"], str(target)) == ["10.2.0.66"]
    assert routes["spine0"][target] == via(topology, "spine0", "rack0-tor1")


def test_a_server_hears_from_outside_only_over_the_tor_that_has_a_way_out() -> None:
    topology = file(IBGP)
    routes = expected_routes(topology, cut=[("rack0-tor0", "spine0"), ("rack0-tor0", "spine1")])
    assert routes["rack0-cs0"][ip_network("10.64.0.17/32")] == via(topology, "rack0-cs0", "rack0-tor1")


EXPOSED = (
    "racks: [{count: 2, servers: {cs: 1}}]\nroles: {cs: {announces: [bastion]}}\n"
    "routing: {exposed: true}\npools: {bastion: 10.72.0.0/26}\n"
)


def test_a_border_learns_aggregates_of_exposed_pools_and_nothing_else() -> None:
    topology = file(EXPOSED)
    routes = expected_routes(topology)
    assert routes["border0"] == {ip_network("10.72.0.0/26"): via(topology, "border0", "spine0", "spine1")}
    assert not [table for name, table in routes.items() if name != "border0" and ip_network("10.72.0.0/26") in table]


def test_exposed_addresses_are_routed_inside_one_by_one_and_what_is_outside_is_known_there() -> None:
    routes = expected_routes(file(EXPOSED))
    assert set(routes["rack0-tor0"]) >= {ip_network("10.72.0.1/32"), ip_network("10.72.0.2/32")}
    assert all(ip_network("10.128.0.0/24") in table for name, table in routes.items() if name != "border0")


def test_the_way_to_the_internet_is_known_everywhere_but_at_a_border_that_shares_its_as() -> None:
    topology = file("fabric: {borders: 2}\nracks: [{servers: {cs: 1}}]\nroles: {cs: {}}\ninternet: {nat: true}\n")
    default = IPv4Network("0.0.0.0/0")
    routes = expected_routes(topology)
    assert {name for name, table in routes.items() if default not in table} == {"border0", "border1"}
    assert routes["spine0"][default] == via(topology, "spine0", "border0")
    assert default not in expected_routes(topology, down=["border0"])["spine0"]


def test_pods_reach_each_other_over_the_super_spines_alone() -> None:
    topology = expand(load(FOLDER / "five-stage.yml"))
    table = expected_routes(topology)["pod0-spine0"]
    other = topology.router("rack1-tor0")
    assert other.pod == 1
    assert table[other.loopback.network] == via(topology, "pod0-spine0", "superspine0", "superspine1")
    assert topology.router("pod0-spine1").loopback.network not in table


def test_a_dual_stack_session_over_ipv4_has_next_hops_of_both_families() -> None:
    topology = file("family: dual\nracks: [{count: 2}]\n")
    table = expected_routes(topology)["rack0-tor0"]
    assert in_words(table, "10.1.0.3/32") == ["10.0.0.0", "10.0.0.2"]
    assert in_words(table, "fd00:0:0:2::3/128") == ["fd00:0:0:1::", "fd00:0:0:1::2"]
    assert {session.peer.version for session in topology.router("rack0-tor0").sessions} == {4}


def test_without_numbered_links_both_families_have_link_local_next_hops() -> None:
    topology = file("family: dual\nfabric: {links: unnumbered}\nracks: [{count: 2}]\n")
    table = expected_routes(topology)["rack0-tor0"]
    assert in_words(table, "10.1.0.3/32") == in_words(table, "fd00:0:0:2::3/128") == ["fe80::2", "fe80::4"]


def test_a_firewall_beside_the_fabric_announces_the_network_behind_it() -> None:
    topology = expand(load(FOLDER / "dual.yml"))
    routes = expected_routes(topology)
    lab = ip_network("192.0.2.0/24")
    assert routes["border0"][lab] == via(topology, "border0", "firewall")
    assert lab in routes["rack0-cs0"]
    assert lab not in expected_routes(topology, cut=[("firewall", "lab")])["border0"]


def test_a_guest_of_the_users_own_image_speaks_no_bgp() -> None:
    topology = file(
        "racks: [{servers: {cs: 1, own: 1}}]\nroles: {cs: {}, own: {image: disk}}\nimages: {disk: {file: /x.qcow2}}\n"
    )
    assert "rack0-own0" not in expected_routes(topology)
    assert topology.server("rack0-own0").sessions == ()
    assert [s.peer_device for s in topology.router("rack0-tor0").sessions if s.peer_is_server] == ["rack0-cs0"]


def test_over_a_drained_session_nothing_is_told() -> None:
    topology = small()
    tor = topology.router("rack0-tor0")
    drained = tuple(replace(each, drained=each.peer_device == "spine0") for each in tor.sessions)
    routers = tuple(replace(each, sessions=drained) if each is tor else each for each in topology.routers)
    routes = expected_routes(replace(topology, routers=routers))
    assert routes["rack1-tor0"][tor.loopback.network] == via(topology, "rack1-tor0", "spine1")
    assert routes["rack0-tor0"][node(topology, "rack1-cs0")] == via(topology, "rack0-tor0", "spine0", "spine1")


def test_equal_next_hops_of_a_device_are_the_same_object() -> None:
    """Convergence compares a million of them, by identity first."""
    for table in expected_routes(small()).values():
        assert len({id(hops) for hops in table.values()}) == len(set(table.values()))


def test_all_best_next_hops_are_returned_however_few_a_kernel_may_have() -> None:
    topology = file("fabric: {spines: 4}\nracks: [{count: 2}]\nrouting: {ecmp: 2}\n")
    other = topology.router("rack1-tor0").loopback.network
    assert len(topology.tier(Tier.SPINE)) == len(expected_routes(topology)["rack0-tor0"][other]) == 4
