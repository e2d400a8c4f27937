from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.model.strategies import small
from vdc.model.routing import expected_routes, expected_sessions, speakers
from vdc.model.topology import Topology


@pytest.fixture(scope="module")
def topology() -> Topology:
    return small()


def node(topology: Topology, server: str) -> IPv4Network:
    return topology.server(server).node.network


def loopback(topology: Topology, router: str) -> IPv4Network:
    return topology.router(router).loopback.network


def via(topology: Topology, device: str, *peers: str) -> frozenset[IPv4Address]:
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
    outside = IPv4Network("10.128.0.0/24")
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
    assert all(IPv4Network("10.128.0.0/24") not in table for table in routes.values())


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
