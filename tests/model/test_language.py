"""What each part of the language comes to, by example; what must hold of any file is in `test_expand.py`."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.strategies import FOLDER
from vdc.model.expand import expand
from vdc.model.hardware import Smp
from vdc.model.load import load, parse
from vdc.model.spec import TopologySpec
from vdc.model.topology import Impairment, SegmentKind, Server, Tier, Topology


def file(text: str, **more: Any) -> Topology:
    return expand(parse(f"name: x\n{text}", file="x.yml"), **more)


def names(topology: Topology, tier: Tier) -> list[str]:
    return [router.name for router in topology.tier(tier)]


def linked(topology: Topology, router: str) -> list[str]:
    return [session.peer_device for session in topology.router(router).sessions]


# Shapes


def test_five_stages_are_wired_in_their_pods_and_over_the_super_spines() -> None:
    topology = expand(load(FOLDER / "five-stage.yml"))
    assert names(topology, Tier.SPINE) == ["pod0-spine0", "pod0-spine1", "pod1-spine0", "pod1-spine1"]
    assert linked(topology, "superspine0") == ["border0", "border1", *names(topology, Tier.SPINE)]
    assert linked(topology, "pod1-spine0") == [
        "superspine0", "superspine1", "rack1-tor0", "rack1-tor1", "rack3-tor0", "rack3-tor1",
    ]  # fmt: skip
    assert [topology.router(f"rack{rack}-tor0").pod for rack in range(4)] == [0, 1, 0, 1]
    assert {router.asn for router in topology.tier(Tier.SPINE) if router.pod == 1} == {4200000002}


def test_a_rack_may_name_its_pod_and_the_others_still_go_round() -> None:
    topology = file(
        "fabric: {superspines: 1, pods: 2, spines: 1, tors: 1}\nracks: [{}, {pod: 0}, {}]\nexternal: {clients: 0}\n"
    )
    assert [topology.router(f"rack{rack}-tor0").pod for rack in range(3)] == [0, 0, 1]


def test_racks_are_repeated_in_turn_and_may_have_tors_of_their_own_number() -> None:
    topology = file(
        "racks: [{repeat: 2, racks: [{servers: {cs: 1}}, {tors: 1, servers: {ss: 2}}]}]\nroles: {cs: {}, ss: {}}\n"
    )
    assert [(server.name, len(server.ports)) for server in topology.servers] == [
        ("rack0-cs0", 2), ("rack1-ss0", 1), ("rack1-ss1", 1), ("rack2-cs0", 2), ("rack3-ss0", 1), ("rack3-ss1", 1),
    ]  # fmt: skip
    assert [router.asn - 4200010000 for router in topology.tier(Tier.TOR)] == [0, 1, 2, 3, 4, 5]
    assert str(topology.server("rack3-ss1").ports[0].address) == "10.2.1.67/26"


def test_without_spines_a_tor_is_wired_to_the_next_tier_that_there_is() -> None:
    topology = file("fabric: {borders: 2, spines: 0, tors: 1}\nracks: [{count: 2}]\n")
    assert linked(topology, "rack1-tor0") == ["border0", "border1"]


def test_roles_take_turns_in_a_rack_so_that_one_more_moves_nobody() -> None:
    topology = file("racks: [{servers: {boot: 1, cs: 3, ss: 2}}]\nroles: {boot: {}, cs: {}, ss: {}}\n")
    assert [server.name for server in sorted(topology.servers, key=lambda server: server.index)] == [
        "rack0-boot0", "rack0-cs0", "rack0-ss0", "rack0-cs1", "rack0-ss1", "rack0-cs2",
    ]  # fmt: skip


BASE: Mapping[str, Any] = {
    "name": "x",
    "family": "dual",
    "fabric": {"borders": 1, "superspines": 2, "pods": 2, "spines": 2, "tors": 2},
    "racks": [{"servers": {"cs": 2, "ss": 1}}, {"servers": {"cs": 1}}],
    "roles": {"cs": {"pod_blocks": 1}, "ss": {"announces": ["bastion"]}},
    "pools": {"bastion": "10.72.0.0/24"},
    "oob": {"servers": True},
    "operation": {"clients": 1},
    "external": {"clients": 2},
    "devices": {"fw": {"kind": "router", "interfaces": [{"link": "border0"}]}},
}

GROWN: Mapping[str, Mapping[str, Any]] = {
    "a rack": {"racks": [*BASE["racks"], {"servers": {"cs": 9}}]},
    "a server of the most numerous role": {"racks": [{"servers": {"cs": 3, "ss": 1}}, {"servers": {"cs": 1}}]},
    "a server in the last rack": {"racks": [BASE["racks"][0], {"servers": {"cs": 2}}]},
    "a spine in each pod": {"fabric": {**BASE["fabric"], "spines": 3}},
    "a super-spine": {"fabric": {**BASE["fabric"], "superspines": 3}},
    "a border": {"fabric": {**BASE["fabric"], "borders": 2}},
    "a client": {"external": {"clients": 3}},
    "a router beside the fabric": {
        "devices": {**BASE["devices"], "fw2": {"kind": "router", "interfaces": [{"link": "border0"}]}}
    },
}


def held(topology: Topology) -> dict[object, object]:
    """What every device has that a running data centre would have to change with it."""
    found: dict[object, object] = {}
    for router in topology.routers:
        found[router.name] = (router.asn, router.router_id, router.loopbacks)
    for server in topology.servers:
        found[server.name] = (server.asn, server.router_id, server.nodes, server.ports, server.announces, server.pods)
    for link in topology.links:
        found[link.a.device, link.b.device] = link
    for segment in topology.segments:
        found |= {(segment.name, end.device): end for end in segment.ports}
    return found


@pytest.mark.parametrize("what", GROWN)
def test_what_was_there_keeps_its_numbers_when_there_is_one_more(what: str) -> None:
    before = held(expand(TopologySpec.model_validate(BASE)))
    after = held(expand(TopologySpec.model_validate({**BASE, **GROWN[what]})))
    assert len(after) > len(before)
    assert {key for key in before if after[key] != before[key]} == set()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))
def test_a_rack_appended_to_any_fabric_moves_nobody(borders: int, spines: int, tors: int, servers: int) -> None:
    def held_with(racks: int) -> dict[object, object]:
        rack = {"count": racks, "servers": {"cs": servers}}
        fabric = {"borders": borders, "spines": spines, "tors": tors}
        return held(
            expand(TopologySpec.model_validate({"name": "x", "fabric": fabric, "racks": [rack], "roles": {"cs": {}}}))
        )

    before, after = held_with(2), held_with(3)
    assert {key for key in before if after[key] != before[key]} == set()


# Servers


def server(text: str, name: str = "rack0-cs0", **more: Any) -> Server:
    return file(f"racks: [{{servers: {{cs: 2}}}}]\n{text}", **more).server(name)


def test_a_server_has_what_its_role_says_and_defaults_for_the_rest() -> None:
    found = server("roles: {cs: {memory: 1GiB}}\n")
    assert (found.cpu, found.memory, found.data, found.image) == (1, 1 << 30, 1 << 30, None)
    assert (found.hardware.smp, found.hardware.numa, found.hardware.queues) == (None, 0, 1)
    assert found.hardware.firmware == "bios"


def test_a_rack_wins_over_the_role_and_a_single_server_over_both() -> None:
    topology = file(
        "racks: [{servers: {cs: 2}, roles: {cs: {memory: 2GiB, queues: 2}}}, {servers: {cs: 1}}]\n"
        "roles: {cs: {memory: 1GiB, cpu: 2, data: 2GiB}}\noverrides: {rack0-cs1: {memory: 3GiB, uefi: true}}\n"
    )
    found = {each.name: (each.cpu, each.memory >> 30, each.data >> 30, each.hardware) for each in topology.servers}
    assert [found[name][:3] for name in ("rack0-cs0", "rack0-cs1", "rack1-cs0")] == [(2, 2, 2), (2, 3, 2), (2, 1, 2)]
    assert [found[name][3].queues for name in found] == [2, 2, 1]
    assert [found[name][3].firmware for name in found] == ["bios", "uefi", "bios"]


def test_cpu_and_smp_take_each_others_place() -> None:
    text = "roles: {cs: {smp: {cores: 2, threads: 2}}}\noverrides: {rack0-cs1: {cpu: 3}}\n"
    one, other = server(text), server(text, "rack0-cs1")
    assert (one.cpu, one.hardware.smp) == (4, Smp(cpus=4, sockets=1, dies=1, cores=2, threads=2, maxcpus=4))
    assert (other.cpu, other.hardware.smp) == (3, None)


@pytest.mark.parametrize(
    ("spec", "smp"),
    [
        ("{cpus: 4}", Smp(cpus=4, sockets=4, dies=1, cores=1, threads=1, maxcpus=4)),
        ("{cpus: 4, cores: 2}", Smp(cpus=4, sockets=2, dies=1, cores=2, threads=1, maxcpus=4)),
        ("{cpus: 4, sockets: 1}", Smp(cpus=4, sockets=1, dies=1, cores=4, threads=1, maxcpus=4)),
        (
            "{sockets: 2, dies: 2, cores: 2, threads: 2}",
            Smp(cpus=16, sockets=2, dies=2, cores=2, threads=2, maxcpus=16),
        ),
        ("{cpus: 2, maxcpus: 8, cores: 4}", Smp(cpus=2, sockets=2, dies=1, cores=4, threads=1, maxcpus=8)),
    ],
)
def test_what_an_smp_leaves_out_follows_from_the_rest(spec: str, smp: Smp) -> None:
    assert server(f"roles: {{cs: {{smp: {spec}}}}}\n").hardware.smp == smp


def test_volumes_of_a_count_are_told_apart_by_number() -> None:
    volumes = server(
        "roles: {cs: {volumes: [{name: fast, kind: empty, size: 1GiB, count: 2, device_class: ssd, "
        "limits: {read: 1MiB}}, {name: share, kind: folder, path: /srv, writable: false}, "
        "{name: z, kind: raw, size: 1MiB, serial: S}]}}\n"
        "device_classes: {ssd: /fast}\n"
    ).hardware.volumes
    assert [(each.name, each.serial, each.directory, each.source) for each in volumes] == [
        ("fast0", None, "/fast", None),
        ("fast1", None, "/fast", None),
        ("share", None, None, "/srv"),
        ("z", "S", None, None),
    ]
    assert (volumes[0].size, volumes[0].limits.read_bytes, volumes[0].limits.write_iops) == (1 << 30, 1 << 20, 0)


def test_a_machine_has_a_serial_of_its_own_unless_the_file_gives_one() -> None:
    text = "roles: {cs: {smbios: {product: P}}}\noverrides: {rack0-cs1: {smbios: {serial: mine}}}\n"
    one, other = server(text).hardware.smbios, server(text, "rack0-cs1").hardware.smbios
    assert (one.product, one.serial) == ("P", sha1(b"rack0-cs0", usedforsecurity=False).hexdigest())
    assert (other.product, other.serial) == (None, "mine")


def test_a_guest_of_an_image_of_the_users_own_is_configured_by_texts_and_not_by_us() -> None:
    spec = TopologySpec.model_validate(
        {
            "name": "x",
            "racks": [{"servers": {"cs": 1}}],
            "roles": {"cs": {"image": "mine", "user_data": "/a/user", "network_config": "/a/net"}},
            "images": {"mine": {"file": "/a/disk", "compression": "xz"}},
        }
    )
    topology = expand(spec, {"/a/user": "#cloud-config", "/a/net": "version: 2"})
    found = topology.server("rack0-cs0")
    assert (found.image, found.managed, found.sessions) == ("mine", False, ())
    assert (found.seed.user_data, found.seed.network_config, found.seed.ignition) == (
        "#cloud-config", "version: 2", None,
    )  # fmt: skip
    assert [(each.name, each.file, each.compression) for each in topology.images] == [("mine", "/a/disk", "xz")]


def test_explicit_values_win() -> None:
    topology = file(
        "racks: [{servers: {cs: 1}}]\nroles: {cs: {}}\n"
        "overrides:\n"
        "  rack0-cs0: {asn: 4200200000, addresses: [10.64.9.9], macs: ['02:00:00:00:00:01']}\n"
        "  spine1: {asn: 4200000009, addresses: [10.1.9.9]}\n"
        "links: [{between: [rack0-tor0, spine0], addresses: [10.0.9.1/31, 10.0.9.0/31]}]\n"
    )
    found, spine = topology.server("rack0-cs0"), topology.router("spine1")
    assert (found.asn, str(found.node), str(found.router_id)) == (4200200000, "10.64.9.9/32", "10.64.9.9")
    assert found.ports[0].mac == "02:00:00:00:00:01" != found.ports[1].mac
    assert (spine.asn, str(spine.loopback), str(spine.router_id)) == (4200000009, "10.1.9.9/32", "10.1.9.9")
    (link,) = (each for each in topology.links if (each.a.device, each.b.device) == ("spine0", "rack0-tor0"))
    assert (str(link.a.address), str(link.b.address)) == ("10.0.9.0/31", "10.0.9.1/31")
    (session,) = (each for each in topology.router("rack0-tor0").sessions if each.peer_device == "spine0")
    assert (str(session.local), str(session.peer)) == ("10.0.9.1", "10.0.9.0")
    assert topology.router("border0").sessions[1].peer_asn == 4200000009


def test_servers_announce_addresses_and_blocks_that_follow_each_other_in_their_racks() -> None:
    topology = file(
        "racks: [{count: 2, servers: {boot: 1, cs: 2}}]\nroles: {boot: {announces: [bastion]}, cs: {pod_blocks: 2}}\n"
        "pools: {bastion: 10.72.0.0/26, pod: 10.80.0.0/16, pod_length: 24}\n"
    )
    told = {each.name: [*map(str, each.announces), *map(str, each.pods)] for each in topology.servers}
    assert told == {
        "rack0-boot0": ["10.72.0.1/32"],
        "rack0-cs0": ["10.80.0.0/24", "10.80.1.0/24"],
        "rack0-cs1": ["10.80.2.0/24", "10.80.3.0/24"],
        "rack1-boot0": ["10.72.0.2/32"],
        "rack1-cs0": ["10.80.16.0/24", "10.80.17.0/24"],
        "rack1-cs1": ["10.80.18.0/24", "10.80.19.0/24"],
    }


# Families


def test_without_ipv4_every_address_is_ipv6_and_router_ids_still_differ() -> None:
    topology = file("family: ipv6\nracks: [{servers: {cs: 1}}]\nroles: {cs: {}}\n")
    tor, found = topology.router("rack0-tor0"), topology.server("rack0-cs0")
    assert (list(map(str, tor.loopbacks)), str(tor.router_id)) == (["fd00:0:0:2::1/128"], "0.0.0.1")
    assert (list(map(str, found.nodes)), str(found.router_id)) == (["fd00:0:0:64::1/128"], "1.0.0.0")
    assert [str(end.address) for end in tor.interfaces] == ["fd00:0:0:1::1/127", "fd00:0:0:1::3/127", "fd00:2::1/64"]
    assert [str(session.peer) for session in found.sessions] == ["fd00:2::1", "fd00:2:0:1::1"]


def test_unnumbered_links_have_link_local_addresses_alone_and_segments_stay_numbered() -> None:
    topology = file("fabric: {links: unnumbered}\nracks: [{servers: {cs: 1}}]\nroles: {cs: {}}\n")
    spine, servers = topology.router("rack0-tor0").interfaces[0], topology.router("rack0-tor0").interfaces[-1]
    assert (spine.addresses, spine.link_local) == ((), ip_address("fe80::3"))
    assert (str(servers.address), servers.link_local) == ("10.2.0.1/26", None)
    assert [str(each.peer) for each in topology.router("rack0-tor0").sessions] == ["fe80::2", "fe80::4", "10.2.0.2"]


# Networks outside and beside the fabric


def test_the_testers_place_and_all_servers_are_on_the_management_network() -> None:
    topology = file(
        "racks: [{servers: {cs: 1}}, {tors: 1, servers: {cs: 1}}]\nroles: {cs: {}}\n"
        "operation: {clients: 2}\noob: {servers: true}\n"
    )
    assert [(port.interface, port.tap, port.tor) for port in topology.server("rack1-cs0").ports] == [
        ("eth0", "rack1-cs0.0", "rack1-tor0"),
        ("oob", "rack1-cs0.1", None),
    ]
    (oob,) = (each for each in topology.segments if each.kind is SegmentKind.OOB)
    assert [(end.device, str(end.address)) for end in oob.ports] == [
        ("rack0-cs0", "10.130.0.65/16"), ("rack1-cs0", "10.130.0.81/16"),
        ("operation0", "10.130.0.1/16"), ("operation1", "10.130.0.2/16"),
    ]  # fmt: skip
    tester = next(each for each in topology.externals if each.name == "operation1")
    assert (tester.segment, str(tester.address), list(map(str, tester.gateways))) == (
        "operation", "10.129.0.253/24", ["10.129.0.1"],
    )  # fmt: skip
    assert [(end.interface, end.leg) for end in tester.further] == [("eth1", "operation1.u1")]
    assert [end.leg for end in topology.router("border0").interfaces if end.leg] == ["border0.u", "border0.u1"]


BESIDE = """
networks: {lab: {prefixes: [192.0.2.0/24], mtu: 1400}, wire: {}}
devices:
  auto: {kind: server, server: {memory: 256MiB}, interfaces: [{network: lab}, {network: wire}]}
  fixed: {kind: client, interfaces: [{network: lab, addresses: [192.0.2.1/24], mac: "02:00:00:00:00:09"}]}
  fw: {kind: router, interfaces: [{link: border0}, {network: lab}]}
  own: {kind: client, gateways: [192.0.2.99], interfaces: [{network: lab}]}
  user: {kind: client, interfaces: [{network: external}]}
"""


def test_devices_beside_the_fabric_have_the_next_free_addresses_and_a_way_out() -> None:
    topology = file(f"racks: [{{}}]\n{BESIDE}")
    lab = next(each for each in topology.segments if each.name == "lab")
    assert [(end.device, str(end.address)) for end in lab.ports] == [
        ("auto", "192.0.2.2/24"), ("fixed", "192.0.2.1/24"), ("fw", "192.0.2.3/24"), ("own", "192.0.2.4/24"),
    ]  # fmt: skip
    assert lab.ports[1].mac == "02:00:00:00:00:09"
    guest = topology.server("auto")
    assert (guest.rack, guest.nodes, guest.asn, guest.memory) == (None, (), 0, 256 << 20)
    assert list(map(str, guest.gateways)) == ["192.0.2.3"]
    assert [(port.interface, port.segment, port.addresses != (), port.mtu) for port in guest.ports] == [
        ("eth0", "lab", True, 1400), ("eth1", "wire", False, 1500),
    ]  # fmt: skip
    gateways = {each.name: list(map(str, each.gateways)) for each in topology.externals}
    assert gateways == {
        "external": ["10.128.0.1"], "fixed": ["192.0.2.3"], "own": ["192.0.2.99"], "user": ["10.128.0.1"],
    }  # fmt: skip
    assert str(next(each for each in topology.externals if each.name == "user").address) == "10.128.0.2/24"


def test_a_router_beside_the_fabric_has_a_link_and_announces_its_network() -> None:
    topology = file(f"racks: [{{}}]\n{BESIDE}")
    firewall = topology.router("fw")
    assert (firewall.tier, firewall.asn, linked(topology, "fw")) == (Tier.ROUTER, 4200009100, ["border0"])
    assert list(map(str, firewall.originates)) == ["192.0.2.0/24"]
    assert [end.interface for end in firewall.interfaces] == ["border0", "lab"]


def test_a_flat_network_needs_no_fabric() -> None:
    topology = file("networks: {n: {}}\ndevices: {a: {kind: server, interfaces: [{network: n}]}}\n")
    assert (topology.routers, topology.links, [each.name for each in topology.segments]) == ((), (), ["n"])


def test_internet_access_is_over_the_first_border_alone() -> None:
    assert file("racks: [{}]\n").internet is None
    topology = file("fabric: {borders: 2}\nracks: [{}]\ninternet: {nat: true}\n")
    assert topology.internet is not None
    assert (topology.internet.border, str(topology.internet.address), str(topology.internet.gateway)) == (
        "border0", "10.131.0.2/30", "10.131.0.1/30",
    )  # fmt: skip
    assert [str(topology.router(f"border{n}").originates[-1]) for n in (0, 1)] == ["0.0.0.0/0", "10.128.0.0/24"]


# Links


def test_the_mtu_is_that_of_the_file_or_else_of_the_host_everywhere() -> None:
    text = "racks: [{servers: {cs: 1}}]\nroles: {cs: {}}\n"
    for topology, mtu in (
        (file(text), 1500),
        (file(text, default_mtu=1460), 1460),
        (file(f"{text}fabric: {{mtu: 9000}}\n", default_mtu=1460), 9000),
    ):
        found = {link.mtu for link in topology.links} | {segment.mtu for segment in topology.segments}
        assert found | {port.mtu for server in topology.servers for port in server.ports} == {mtu}


LINKS = """
fabric: {borders: 1, spines: 2, tors: 1}
racks: [{servers: {cs: 2}}]
roles: {cs: {}}
links:
  - {between: ["spine*", "rack0-*"], delay: 10ms, mtu: 1400}
  - {between: [rack0-tor0, spine1], loss: 1%, towards: rack0-tor0}
  - {between: [rack0-cs0, rack0-tor0], rate: 10Mbit, mtu: 1300}
  - {between: [border0, external], delay: 1ms, towards: external}
"""


def test_links_match_by_pattern_in_either_order_and_what_is_said_later_adds_to_it() -> None:
    links = {(link.a.device, link.b.device): link for link in file(LINKS).links}
    first, second = links["spine0", "rack0-tor0"], links["spine1", "rack0-tor0"]
    slow = Impairment(delay=0.01)
    assert (first.mtu, first.to_a, first.to_b) == (1400, slow, slow)
    assert (second.to_a, second.to_b) == (slow, Impairment(delay=0.01, loss=0.01))
    assert (links["border0", "spine0"].mtu, links["border0", "spine0"].to_b) == (1500, None)


def test_a_cable_to_a_segment_is_that_of_one_device() -> None:
    topology = file(LINKS)
    slow = Impairment(rate=10_000_000)
    one, other = topology.server("rack0-cs0").ports[0], topology.server("rack0-cs1").ports[0]
    assert (one.mtu, one.egress, one.ingress) == (1300, slow, slow)
    assert (other.mtu, other.egress, other.ingress) == (1500, None, None)
    servers, external = (each.ports for each in topology.segments)
    assert [(end.device, end.mtu, end.egress) for end in servers] == [
        ("rack0-tor0", None, None), ("rack0-cs0", 1300, slow), ("rack0-cs1", None, None),
    ]  # fmt: skip
    assert [(end.device, end.egress, end.ingress) for end in external] == [
        ("border0", Impairment(delay=0.001), None), ("external", None, None),
    ]  # fmt: skip


def test_routing_is_resolved_to_what_timers_and_templates_need() -> None:
    routing = file(
        "racks: [{}]\nrouting: {bfd: {interval: 400ms}, server_bfd: {enabled: false}, hold: 30s, ecmp: 8}\n"
    ).routing
    assert (routing.bfd and routing.bfd.interval, routing.server_bfd, routing.hold, routing.ecmp) == (0.4, None, 30, 8)


def test_a_kubernetes_has_its_control_plane_and_its_pools() -> None:
    topology = expand(load(FOLDER / "k8s.yml"))
    kubernetes = topology.kubernetes
    assert kubernetes is not None
    assert kubernetes.control_planes == ("rack0-cp0", "rack1-cp0", "rack2-cp0")
    assert [str(pool) for pool in (*kubernetes.pods, *kubernetes.services)] == ["10.80.0.0/12", "10.96.0.0/16"]
    assert [str(pool) for pool in kubernetes.load_balancers] == ["10.140.0.0/24"]
    assert all(len(server.pods) == 1 for server in topology.servers)
    assert expand(load(FOLDER / "small.yml")).kubernetes is None
