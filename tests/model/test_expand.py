from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from typing import TypeVar

import networkx as nx
from hypothesis import HealthCheck, given, settings

from tests.model.strategies import small, specs, topologies
from vdc.model import addressing
from vdc.model.checks import findings
from vdc.model.expand import expand
from vdc.model.ip import Interface, Prefix
from vdc.model.load import parse
from vdc.model.routing import speakers
from vdc.model.spec import TopologySpec
from vdc.model.topology import End, Impairment, Server, Session, Tier, Topology

T = TypeVar("T")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def twice(things: Iterable[T]) -> list[T]:
    return [thing for thing, count in Counter(things).items() if count > 1]


def ends(topology: Topology) -> Iterator[End]:
    for link in topology.links:
        yield from (link.a, link.b)
    for segment in topology.segments:
        yield from segment.ports


def graph(topology: Topology) -> nx.Graph:
    """Who is cabled to whom, of those that speak BGP; a server to its ToRs."""
    drawn = nx.Graph()
    drawn.add_nodes_from(speaker.name for speaker in speakers(topology))
    drawn.add_edges_from((link.a.device, link.b.device) for link in topology.links)
    drawn.add_edges_from((server.name, port.tor) for server in topology.servers for port in server.ports if port.tor)
    return drawn


def addresses(topology: Topology) -> Iterator[Interface]:
    """Every address that is routed or stands on a wire."""
    for router in topology.routers:
        yield from router.loopbacks
    for server in topology.servers:
        yield from (*server.nodes, *server.announces)
    yield from (address for end in ends(topology) for address in end.addresses)


def racked(topology: Topology) -> list[Server]:
    return [server for server in topology.servers if server.rack is not None]


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
    assert str(server.node) == "10.64.0.17/32"
    assert [str(port.address) for port in server.ports] == ["10.2.0.130/26", "10.2.0.194/26"]
    assert [port.tap for port in server.ports] == ["rack1-cs0.0", "rack1-cs0.1"]
    assert server.asn == 4200100016
    tor = topology.router("rack1-tor1")
    assert (tor.rack, tor.index, tor.asn, str(tor.loopback)) == (1, 1, 4200010003, "10.1.0.4/32")
    assert [end.interface for end in tor.interfaces] == ["spine0", "spine1", "servers"]
    assert [str(end.address) for end in tor.interfaces] == ["10.0.0.25/31", "10.0.0.27/31", "10.2.0.193/26"]
    assert str(topology.router("spine1").loopback) == "10.1.15.248/32"
    assert str(topology.externals[0].address) == "10.128.0.254/24"
    assert [str(gateway) for gateway in topology.externals[0].gateways] == ["10.128.0.1"]


def test_spines_share_an_as_number_and_tors_do_not() -> None:
    topology = small()
    assert len({router.asn for router in topology.tier(Tier.SPINE)}) == 1
    assert len({router.asn for router in topology.tier(Tier.TOR)}) == 6


@quick
@given(specs)
def test_any_topology_of_the_strategy_passes_the_checks(spec: TopologySpec) -> None:
    assert list(findings(spec)) == []


@quick
@given(topologies)
def test_no_two_things_share_an_address_a_mac_or_a_name(topology: Topology) -> None:
    names = [router.name for router in topology.routers]
    names += [server.name for server in topology.servers]
    names += [external.name for external in topology.externals]
    assert twice(names) == []
    assert twice(interface.ip for interface in addresses(topology)) == []
    assert twice(end.mac for end in ends(topology)) == []
    assert twice((end.device, end.interface) for end in ends(topology)) == []
    assert twice(router.router_id for router in speakers(topology)) == []
    assert twice(prefix for server in topology.servers for prefix in server.pods) == []


@quick
@given(topologies)
def test_no_two_ends_of_links_share_a_link_local_address(topology: Topology) -> None:
    found = [end.link_local for link in topology.links for end in (link.a, link.b)]
    assert twice(address for address in found if address is not None) == []
    for segment in topology.segments:
        assert twice(end.link_local for end in segment.ports if end.link_local is not None) == []


@quick
@given(topologies)
def test_macs_are_locally_administered_and_unicast_and_the_same_at_both_places(topology: Topology) -> None:
    ports = {(server.name, port.interface): port for server in topology.servers for port in server.ports}
    for end in ends(topology):
        assert end.mac is not None
        assert int(end.mac[:2], 16) & 0b11 == 0b10
        if (port := ports.get((end.device, end.interface))) is not None:
            assert (port.mac, port.addresses) == (end.mac, end.addresses)


@quick
@given(specs)
def test_every_address_is_within_its_pool(spec: TopologySpec) -> None:
    topology = expand(spec)
    pools = {4: spec.pools, 6: spec.pools6}

    def pool(interface: Interface | Prefix, name: str) -> Prefix:
        found: Prefix = getattr(pools[interface.version], name)
        return found

    for router in topology.routers:
        assert all(each.ip in pool(each, "loopback") for each in router.loopbacks)
    for server in racked(topology):
        assert all(each.ip in pool(each, "node") for each in server.nodes)
        assert all(each.network_address in pool(each, "pod") for each in server.pods)
        assert all(each.ip in pool(each, "bastion") or each.ip in pool(each, "egress") for each in server.announces)
    for link in topology.links:
        assert all(each.ip in pool(each, "link") for end in (link.a, link.b) for each in end.addresses)
    for segment in topology.segments:
        wanted = {"servers": "segment"}.get(segment.kind, str(segment.kind))
        for prefix in segment.prefixes if wanted != "flat" else ():
            assert prefix.network_address in pool(prefix, wanted)


@quick
@given(topologies)
def test_whoever_is_on_a_segment_has_an_address_of_each_of_its_prefixes(topology: Topology) -> None:
    for segment in topology.segments:
        for end in segment.ports:
            assert tuple(address.network for address in end.addresses) == segment.prefixes
            assert not {address.ip for address in end.addresses} & {each.network_address for each in segment.prefixes}


@quick
@given(specs)
def test_both_ends_of_every_link_agree(spec: TopologySpec) -> None:
    topology = expand(spec)
    families = len(topology.versions) if spec.fabric.links == "numbered" else 0
    for link in topology.links:
        assert [each.network for each in link.a.addresses] == [each.network for each in link.b.addresses]
        assert [each.max_prefixlen - each.network.prefixlen for each in link.a.addresses] == [1] * families
        assert (link.a.interface, link.b.interface) == (link.b.device, link.a.device)
        local = not families or 6 in topology.versions
        assert {end.link_local is not None for end in (link.a, link.b)} == {local}


@quick
@given(topologies)
def test_no_two_networks_overlap(topology: Topology) -> None:
    networks = [prefix for segment in topology.segments for prefix in segment.prefixes]
    networks += [address.network for link in topology.links for address in link.a.addresses]
    networks += [prefix for server in topology.servers for prefix in server.pods]
    for version in (4, 6):
        ordered = sorted((each for each in networks if each.version == version), key=int_of)
        assert [pair for pair in pairwise(ordered) if pair[0].overlaps(pair[1])] == []


def int_of(prefix: Prefix) -> int:
    return int(prefix.network_address)


@quick
@given(topologies)
def test_every_session_has_its_other_end(topology: Topology) -> None:
    asns = {speaker.name: speaker.asn for speaker in speakers(topology)}
    sessions = [session for speaker in speakers(topology) for session in speaker.sessions]
    found = {(each.device, each.local, each.peer_device, each.peer) for each in sessions}
    assert found == {(peer_device, peer, device, local) for device, local, peer_device, peer in found}
    assert len(found) == len(sessions)
    assert all(each.peer_asn == asns[each.peer_device] for each in sessions)
    assert all(each.internal == (asns[each.device] == asns[each.peer_device]) for each in sessions)


@quick
@given(specs)
def test_sessions_are_internal_between_a_tor_and_its_servers_alone_and_only_where_the_file_says(
    spec: TopologySpec,
) -> None:
    topology = expand(spec)
    for speaker in speakers(topology):
        for session in speaker.sessions:
            in_rack = session.peer_is_server or isinstance(speaker, Server)
            assert session.internal == (in_rack and spec.routing.rack == "ibgp")


@quick
@given(specs)
def test_exposed_are_the_sessions_of_the_tier_next_to_the_borders(spec: TopologySpec) -> None:
    topology = expand(spec)
    exposed = {session.device for router in topology.routers for session in router.sessions if session.exposed}
    aggregating = {router.name for router in topology.routers if router.aggregates}
    next_to = Tier.SUPERSPINE if spec.fabric.superspines else Tier.SPINE
    wanted = {router.name for router in topology.tier(next_to)} if spec.routing.exposed else set()
    assert exposed == aggregating == wanted


@quick
@given(topologies)
def test_next_hops_are_the_peer_on_that_wire_in_each_family(topology: Topology) -> None:
    at = {(end.device, end.interface): end for end in ends(topology)}
    on: dict[tuple[str, str], set[str]] = {}
    for link in topology.links:
        on[link.a.device, link.a.interface] = {str(each.ip) for each in link.b.addresses} or {str(link.b.link_local)}
        on[link.b.device, link.b.interface] = {str(each.ip) for each in link.a.addresses} or {str(link.a.link_local)}
    for speaker in speakers(topology):
        for session in speaker.sessions:
            assert (session.device, session.interface) in at
            check_next_hops(topology, session, on.get((session.device, session.interface)))


def check_next_hops(topology: Topology, session: Session, wanted: set[str] | None) -> None:
    assert session.peer in session.next_hops
    assert wanted is None or {str(each) for each in session.next_hops} == wanted
    for version in topology.versions:
        hop = session.next_hop(version)
        assert hop.version == version or hop.is_link_local


@quick
@given(topologies)
def test_names_that_the_kernel_sees_fit_it_and_differ(topology: Topology) -> None:
    taps = [port.tap for server in topology.servers for port in server.ports]
    legs = [end.leg for segment in topology.segments for end in segment.ports if end.leg is not None]
    bridges = [segment.name for segment in topology.segments]
    assert twice([*taps, *legs, *bridges]) == []
    names = [*taps, *legs, *bridges, *(end.interface for end in ends(topology))]
    assert [name for name in names if len(name) > addressing.IFNAMSIZ] == []
    servers = {server.name for server in topology.servers}
    for segment in topology.segments:
        assert all((end.leg is None) == (end.device in servers) for end in segment.ports)


@quick
@given(topologies)
def test_every_pair_of_servers_has_a_path(topology: Topology) -> None:
    drawn = graph(topology)
    for one, other in combinations(racked(topology), 2):
        assert nx.has_path(drawn, one.name, other.name)


@quick
@given(topologies)
def test_dual_homed_servers_survive_the_loss_of_any_one_spine_or_tor(topology: Topology) -> None:
    dual = [server.name for server in racked(topology) if sum(port.tor is not None for port in server.ports) > 1]
    spines = Counter(router.pod for router in topology.tier(Tier.SPINE))
    losable = [router.name for router in topology.tier(Tier.TOR)]
    losable += [router.name for router in topology.tier(Tier.SPINE) if spines[router.pod] > 1]
    for lost in losable:
        drawn = graph(topology)
        drawn.remove_node(lost)
        assert all(nx.has_path(drawn, one, other) for one, other in combinations(dual, 2)), lost


@quick
@given(specs)
def test_expanding_twice_gives_the_same(spec: TopologySpec) -> None:
    assert expand(spec) == expand(spec.model_copy(deep=True))


@quick
@given(topologies)
def test_a_server_is_at_its_position_in_the_rack_on_every_segment_of_a_tor(topology: Topology) -> None:
    assert twice((server.rack, server.index) for server in racked(topology)) == []
    for server in racked(topology):
        for address in (address for port in server.ports if port.tor for address in port.addresses):
            assert int(address.ip) == int(address.network.network_address) + 2 + server.index


def test_a_link_may_have_addresses_of_both_families_of_its_own() -> None:
    own = (("10.0.8.0/31", "10.0.8.1/31"), ("fd00:0:0:1::80/127", "fd00:0:0:1::81/127"))
    links = "".join(f"  - {{between: [spine0, border0], addresses: ['{one}', '{other}']}}\n" for other, one in own)
    spec = parse(f"name: x\nfamily: dual\nracks: [{{}}]\nlinks:\n{links}", file="t.yml")
    link = next(each for each in expand(spec).links if each.b.device == "spine0")
    pairs = zip(link.a.addresses, link.b.addresses, strict=True)
    assert tuple((str(outer), str(inner)) for outer, inner in pairs) == own


def test_properties_reach_the_management_leg_of_the_tester() -> None:
    text = "name: x\nracks: [{servers: {cs: 1}}]\nroles: {cs: {}}\noperation: {clients: 1}\noob: {servers: true}\n"
    spec = parse(f"{text}links: [{{between: [operation, oob], delay: 5ms}}]\n", file="t.yml")
    (tester,) = (each for each in expand(spec).externals if each.name == "operation")
    assert tester.further[0].egress == Impairment(delay=0.005)


def test_without_ipv4_no_ipv4_pool_has_to_be_large() -> None:
    spec = parse("name: x\nfamily: ipv6\nracks: [{count: 40}]\npools: {loopback: 10.1.0.0/28}\n", file="t.yml")
    assert len({router.router_id for router in expand(spec).routers}) == 83


def test_a_server_that_configures_itself_has_no_node_address() -> None:
    image = "images: {disk: {file: /srv/disk.img}}"
    spec = parse(f"name: x\nracks: [{{servers: {{own: 1}}}}]\nroles: {{own: {{image: disk}}}}\n{image}\n", file="t.yml")
    (server,) = expand(spec).servers
    assert not server.nodes
    assert server.address == server.ports[0].address.ip
