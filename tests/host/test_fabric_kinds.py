"""Fabrics of every kind of the language, of real namespaces with real BIRD in them, against the routing model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from os import devnull
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES, Command, root_links, traces
from vdc.datacenter import checkpoint_stores, fork, lifecycle
from vdc.datacenter.api import Runner
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.errors import HostError
from vdc.faults import LinkCut, RouterOff
from vdc.faults.base import injected
from vdc.host import netlink, processes
from vdc.host.impairments import has_feature
from vdc.model.load import read_topology
from vdc.settings import Settings
from vdc.shell import in_namespace, run, start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

KINDS = {
    "dual_numbered": "family: dual\nfabric: {borders: 2, spines: 2}\nracks: [{count: 2}]\n",
    "ipv6_only": "family: ipv6\nfabric: {borders: 2, spines: 2}\nracks: [{count: 2}]\n",
    "ipv4_unnumbered": "fabric: {spines: 2, links: unnumbered}\nracks: [{count: 2}]\n",
    "dual_unnumbered": "family: dual\nfabric: {borders: 2, spines: 3, links: unnumbered}\nracks: [{count: 2}]\n",
    "five_stage": (
        "family: dual\nfabric: {borders: 2, superspines: 3, pods: 2, spines: 2}\nracks: [{count: 4}]\n"
        "external: {clients: 2}\noperation: {clients: 1}\n"
    ),
    "exposed": (
        "family: dual\nfabric: {borders: 2, spines: 2}\nracks: [{count: 2}]\nrouting: {exposed: true}\n"
        'pools: {load_balancer: 10.72.0.0/20, egress: 10.73.0.0/24}\npools6: {load_balancer: "fd00:72::/64"}\n'
    ),
    "ecmp_of_two": "fabric: {borders: 3, spines: 4, tors: 1}\nracks: [{count: 3}]\nrouting: {ecmp: 2}\n",
    "without_bfd": "fabric: {spines: 2}\nracks: [{count: 2}]\nrouting: {bfd: {enabled: false}, hold: 3s}\n",
    "free_form": (
        "family: dual\nfabric: {spines: 2, tors: 1}\nracks: [{count: 2}]\n"
        'networks: {dmz: {prefixes: [192.168.7.0/24, "fd00:7::/64"]}}\n'
        "devices:\n"
        "  fw0: {kind: router, interfaces: [{link: spine0}, {link: spine1}, {network: dmz}]}\n"
        "  web0: {kind: client, interfaces: [{network: dmz}]}\n"
    ),
    "uneven": "fabric: {spines: 3}\nracks: [{tors: 1}, {tors: 3, count: 2}, {repeat: 2, racks: [{}, {tors: 1}]}]\n",
}


@contextmanager
def running(text: str, name: str, settings: Settings, folder: Path) -> Iterator[LiveDataCenter]:
    """A data centre of a topology, taken down without a trace at the end."""
    file = folder / f"{name}.yml"
    file.write_text(f"name: {name}\n{text}")
    links = root_links()
    plan = lifecycle.prepare(read_topology(file), name, settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    try:
        yield dc
    finally:
        lifecycle.down(name, settings, Steps())
    assert traces(name, settings) == []
    assert root_links() <= links


def hops(dc: LiveDataCenter) -> int:
    """How many next hops all kernel tables have: a comparison of empty ones proves nothing."""
    return sum(len(found) for router in dc.routers.values() for found in router.routes().values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernels_of_every_kind_of_fabric_agree_with_the_routing_model(
    kind: str, settings: Settings, tmp_path: Path
) -> None:
    with running(KINDS[kind], "t-kind", settings, tmp_path) as dc:
        assert differences(dc) == ()
        assert hops(dc) > 2 * len(dc.routers)
        versions = {prefix.version for router in dc.routers.values() for prefix in router.routes()}
        assert versions == set(dc.topology.versions)


def test_unnumbered_links_come_back_after_a_cut_and_a_router_after_power_loss(
    settings: Settings, tmp_path: Path
) -> None:
    with running(KINDS["dual_unnumbered"], "t-unnumbered", settings, tmp_path) as dc:
        with injected(dc, LinkCut("spine0", "rack0-tor0")):
            wait_converged(dc, cut=[("spine0", "rack0-tor0")])
        wait_converged(dc)
        with injected(dc, RouterOff("spine1")):
            wait_converged(dc, down=["spine1"])
        wait_converged(dc)


def test_clients_reach_both_families_over_both_borders(settings: Settings, tmp_path: Path) -> None:
    with running(KINDS["five_stage"], "t-clients", settings, tmp_path) as dc:
        assert len(dc.externals) == 3
        for client in dc.externals.values():
            for loopback in dc.topology.routers[-1].loopbacks:
                expect_reaches(client, loopback.ip)


def test_borders_know_nothing_but_aggregates_and_the_inside_knows_the_outside(
    settings: Settings, tmp_path: Path
) -> None:
    with running(KINDS["exposed"], "t-exposed", settings, tmp_path) as dc:
        known = {str(prefix) for prefix in dc.routers["border0"].routes()}
        assert known == {"10.72.0.0/20", "10.73.0.0/24", "fd00:72::/64"}
        inside = dc.routers["rack0-tor0"].routes()
        external = next(segment for segment in dc.topology.segments if segment.name == "external")
        assert set(external.prefixes) <= set(inside)
        assert known.isdisjoint(map(str, inside))


def test_the_firewall_beside_the_fabric_is_known_everywhere(settings: Settings, tmp_path: Path) -> None:
    with running(KINDS["free_form"], "t-free", settings, tmp_path) as dc:
        dmz = next(segment for segment in dc.topology.segments if segment.name == "dmz")
        assert len(dmz.prefixes) == 2
        assert set(dmz.prefixes) <= set(dc.routers["rack1-tor0"].routes())


LOSSY = """\
fabric: {spines: 1, tors: 1}
racks: [{count: 2}]
links:
  - {between: [spine0, rack0-tor0], loss: 20%, towards: rack0-tor0}
  - {between: [spine0, rack1-tor0], rate: 8Mbit}
"""


def lost(device: Runner, target: object, count: int = 1000) -> float:
    """The share of echo requests that nobody answers."""
    argv = ["ping", "-n", "-q", "-i", "0.002", "-W", "1", "-c", str(count), str(target)]
    said = device.run(argv, timeout=60.0, check=False).stdout
    found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert found, said
    return 1 - int(found[2]) / int(found[1])


_SEND = """\
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 3
while time.monotonic() < end:
    s.sendto(bytes(1000), (sys.argv[1], 9999)); time.sleep(0.0002)
"""
_RECEIVE = """\
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("", 9999))
s.settimeout(5)
s.recv(2000)
start = last = time.monotonic()
size = 0
while last - start < 2:
    size += len(s.recv(2000)) + 28
    last = time.monotonic()
print(size * 8 / (last - start), flush=True)
"""


def rate(dc: LiveDataCenter, sender: str, receiver: str, folder: Path) -> float:
    """How many bits a second arrive of a flood of UDP packets, with their IP headers (RFC 768, RFC 791)."""
    target = str(dc.topology.router(receiver).loopback.ip)
    result = folder / "rate"
    with result.open("wb") as output:
        netns = dc.plan.context.device_netns(receiver)
        process = start(in_namespace(netns, ["python3", "-c", _RECEIVE]), output=output)
        dc.routers[sender].run(["python3", "-c", _SEND, target])
        process.wait(20)
    return float(result.read_text())


def test_loss_and_rate_of_links_bite_in_their_directions_and_nowhere_else(settings: Settings, tmp_path: Path) -> None:
    with running(LOSSY, "t-wires", settings, tmp_path) as dc:
        spine = dc.routers["spine0"]
        first, second = (dc.topology.router(f"rack{rack}-tor0") for rack in range(2))
        assert 0.14 < lost(spine, first.loopback.ip) < 0.26
        assert lost(spine, second.loopback.ip, 200) == 0.0
        for pair in (("spine0", "rack1-tor0"), ("rack1-tor0", "spine0")):
            assert 6.5e6 < rate(dc, *pair, tmp_path) < 8.5e6
        assert rate(dc, "rack0-tor0", "spine0", tmp_path) > 12e6, "a link without a rate is slow"


DELAYED = (
    "fabric: {spines: 1, tors: 1}\nracks: [{}]\nlinks: [{between: [spine0, rack0-tor0], delay: 20ms, jitter: 1ms}]\n"
)


@pytest.mark.skipif(has_feature("netem"), reason="this kernel has netem")
def test_a_delay_that_this_kernel_cannot_make_is_refused_and_nothing_was_touched(
    settings: Settings, tmp_path: Path
) -> None:
    with (
        pytest.raises(HostError, match=r"from spine0 to rack0-tor0.*no sch_netem") as refused,
        running(DELAYED, "t-delay", settings, tmp_path),
    ):
        pass
    assert refused.value.exit_code == 3
    assert traces("t-delay", settings) == []


@pytest.mark.skipif(not has_feature("netem"), reason="this kernel has no netem")
def test_a_delay_bites_in_both_directions(settings: Settings, tmp_path: Path) -> None:
    with running(DELAYED, "t-delay", settings, tmp_path) as dc:
        tor = dc.topology.router("rack0-tor0").loopback.ip
        said = dc.routers["spine0"].run(["ping", "-n", "-q", "-c", "10", "-i", "0.1", str(tor)]).stdout
        found = re.search(r"= [\d.]+/([\d.]+)/", said)
        assert found, said
        assert 38 < float(found[1]) < 48


def test_a_packet_of_the_mtu_passes_end_to_end_and_a_larger_one_does_not(settings: Settings, tmp_path: Path) -> None:
    text = "fabric: {spines: 1, tors: 1, mtu: 9000}\nracks: [{count: 2}]\n"
    with running(text, "t-mtu", settings, tmp_path) as dc:
        client = dc.externals["external"]
        target = str(dc.topology.router("rack1-tor0").loopback.ip)
        headers = 28  # IPv4 and ICMP
        for size, status in ((9000, 0), (9001, 1)):
            argv = ["ping", "-n", "-q", "-M", "do", "-c", "1", "-W", "1", "-s", str(size - headers), target]
            assert client.run(argv, check=False).status == status, size


def bfd_gone(dc: LiveDataCenter, router: str) -> None:
    if any(session.bfd == "Up" for session in dc.routers[router].sessions()):
        raise NotYet("BFD is Up")


def test_a_bird_that_dies_alone_and_comes_back_costs_no_packet_with_graceful_restart(
    settings: Settings, tmp_path: Path
) -> None:
    text = "fabric: {spines: 1, tors: 1}\nracks: [{count: 2}]\nrouting: {graceful_restart: true}\n"
    with running(text, "t-graceful", settings, tmp_path) as dc:
        source, target = (dc.topology.router(f"rack{rack}-tor0").loopback.ip for rack in range(2))
        log = tmp_path / "ping"
        with log.open("wb") as output:
            argv = ["ping", "-n", "-q", "-i", "0.01", "-w", "12", "-I", str(source), str(target)]
            process = start(in_namespace(dc.plan.context.device_netns("rack0-tor0"), argv), output=output)
            processes.end(dc.routers["spine0"].birds())
            before = dc.routers["rack0-tor0"].routes()
            wait_for(lambda: bfd_gone(dc, "rack0-tor0"), what="BFD to notice", timeout=10)
            assert dc.routers["rack0-tor0"].routes() == before, "its neighbours gave it up"
            dc.routers["spine0"].power_on()
            wait_converged(dc)
            process.wait(30)
        assert re.search(r" 0% packet loss", log.read_text()), log.read_text()


INTERNET = """\
fabric: {spines: 1, tors: 1}
racks: [{count: 1}]
internet: {nat: true, namespace: t-world}
"""


@pytest.fixture
def world() -> Iterator[str]:
    """A namespace that plays the host, with the internet behind it; the address of somebody there."""
    names = ("t-world", "t-far")
    for name in names:
        run(["ip", "netns", "add", name], timeout=10)
    run(
        ["ip", "-n", "t-world", "link", "add", "wan", "type", "veth", "peer", "name", "eth0", "netns", "t-far"],
        timeout=10,
    )
    for name, interface, address in (("t-world", "wan", "203.0.113.1/24"), ("t-far", "eth0", "203.0.113.2/24")):
        run(["ip", "-n", name, "addr", "add", address, "dev", interface], timeout=10)
        run(["ip", "-n", name, "link", "set", interface, "up"], timeout=10)
    run(["ip", "-n", "t-world", "route", "add", "default", "via", "203.0.113.2"], timeout=10)
    yield "203.0.113.2"
    for name in names:
        run(["ip", "netns", "delete", name], timeout=10)


def outside() -> str:
    """All that a data centre may have left in the namespace that plays the host."""
    asked = (["nft", "list", "ruleset"], ["ip", "-br", "link"], ["ip", "route"])
    switch = ["cat", "/proc/sys/net/ipv4/conf/wan/forwarding"]
    return "".join(run(in_namespace("t-world", argv), timeout=10).stdout for argv in (*asked, switch))


def test_the_internet_is_reached_through_nat_and_nothing_is_left_outside(
    world: str, settings: Settings, tmp_path: Path
) -> None:
    untouched = outside()
    with running(INTERNET, "t-nat", settings, tmp_path) as dc:
        for device in (dc.routers["rack0-tor0"], dc.routers["border0"], dc.externals["external"]):
            expect_reaches(device, ip_address(world))
        with running(INTERNET, "t-nat2", settings, tmp_path) as other:
            expect_reaches(other.routers["rack0-tor0"], ip_address(world))
        expect_reaches(dc.routers["rack0-tor0"], ip_address(world))
        with injected(dc, RouterOff("border0")):
            expect_cut_off(dc.routers["rack0-tor0"], ip_address(world))
        wait_converged(dc)
        expect_reaches(dc.routers["rack0-tor0"], ip_address(world))
        assert outside() != untouched
    assert outside() == untouched


def test_a_fork_and_what_is_restored_have_impairments_mtu_and_the_way_to_the_internet_again(
    world: str, settings: Settings, tmp_path: Path
) -> None:
    text = """\
family: dual
fabric: {spines: 2, tors: 1, links: unnumbered, mtu: 4000}
racks: [{count: 2}]
internet: {nat: true, namespace: t-world}
links:
  - {between: [spine0, rack0-tor0], loss: 20%, towards: rack0-tor0}
  - {between: [spine1, rack1-tor0], rate: 8Mbit}
"""
    steps = Steps()

    def look(dc: LiveDataCenter) -> str:
        expect_reaches(dc.routers["rack1-tor0"], ip_address(world))
        spine, tor = dc.routers["spine1"], dc.routers["rack0-tor0"]
        queue = spine.run(["tc", "qdisc", "show", "dev", "rack1-tor0"]).stdout
        return "".join(
            (
                re.sub(r"tbf [0-9a-f]+:", "tbf", queue),
                tor.run(["nft", "list", "ruleset"]).stdout,
                re.sub(r"@if\d+", "", spine.run(["ip", "-br", "-6", "addr", "show", "scope", "link"]).stdout),
                *re.findall(r"mtu \d+", spine.run(["ip", "link", "show", "dev", "rack1-tor0"]).stdout),
            )
        )

    with running(text, "t-again", settings, tmp_path) as dc:
        before = look(dc)
        assert "rate 8Mbit" in before
        assert "numgen" in before
        assert "fe80::" in before
        assert before.endswith("mtu 4000")
        saved = checkpoint_stores.save(dc, "again")
        try:
            other = fork.fork(saved, "t-other", settings, steps)
            assert look(other) == before
            assert look(fork.restore(saved, settings, steps)) == before
        finally:
            lifecycle.down("t-other", settings, steps)
    checkpoint_stores.remove("t-again", "again", settings)


def test_without_the_word_in_the_file_there_is_no_way_to_the_internet(
    world: str, settings: Settings, tmp_path: Path
) -> None:
    with running(KINDS["without_bfd"], "t-no-nat", settings, tmp_path) as dc:
        expect_cut_off(dc.routers["rack0-tor0"], ip_address(world))


def test_a_killed_up_leaves_nothing_outside_after_down(
    world: str, settings: Settings, vdc: Command, tmp_path: Path, gone: list[str]
) -> None:
    del world
    untouched = outside()
    file = tmp_path / "t-killed-nat.yml"
    file.write_text(f"name: t-killed-nat\n{INTERNET}")
    gone.append("t-killed-nat")

    def table() -> None:
        if "t-killed-nat" not in run(in_namespace("t-world", ["nft", "list", "tables"]), timeout=10).stdout:
            raise NotYet("the table")

    with Path(devnull).open("wb") as output:
        process = start([*vdc.argv, "up", str(file)], output=output, env=vdc.environment)
        wait_for(table, what="the table outside", timeout=60, interval=0.001)
        process.kill()
        process.wait()
    assert outside() != untouched
    vdc("down", "t-killed-nat")
    assert outside() == untouched
    assert traces("t-killed-nat", settings) == []
    assert netlink.namespaces("vdc-t-killed-nat") == ()


def test_guests_in_racks_with_ibgp_hear_of_pods_and_are_heard_of_outside_by_aggregates_only(
    settings: Settings, tmp_path: Path
) -> None:
    text = (TOPOLOGIES / "dual.yml").read_text().replace("name: dual\n", "")
    with running(text, "t-guests", settings, tmp_path) as dc:
        assert differences(dc) == ()
        server, mate, far = (dc.servers[name] for name in ("rack0-cs0", "rack0-boot0", "rack1-cs0"))
        assert len(far.spec.pods) == 2
        assert set(far.spec.pods) <= set(server.routes())
        for address in (*mate.spec.nodes, *far.spec.nodes):
            expect_reaches(server, address.ip)
        client = dc.externals["external"]
        assert len(mate.spec.announces) == 2
        for address in mate.spec.announces:
            expect_reaches(client, address.ip)
        for address in mate.spec.nodes:
            expect_cut_off(client, address.ip)
        cable = ("rack0-cs0", "eth0")
        with injected(dc, LinkCut(*cable)):
            wait_converged(dc, cut=[cable])
        with injected(dc, RouterOff("rack0-tor1")):
            wait_converged(dc, down=["rack0-tor1"])
        wait_converged(dc)
        boot = server.boot_id()
        server.reboot()
        server.wait_answering(unlike_boot=boot)
        wait_converged(dc)


SIX = """\
family: ipv6
fabric: {spines: 1, tors: 2, links: unnumbered, mtu: 4000}
racks: [{count: 2, servers: {cs: 1}}]
roles: {cs: {memory: 512MiB, data: 256MiB}}
routing: {server_bfd: {enabled: false}, server_hold: 20s}
links:
  - {between: [rack0-cs0, rack0-tor*], loss: 30%, towards: rack0-cs0}
  - {between: [rack1-cs0, rack1-tor*], loss: 30%, rate: 100Mbit, towards: rack1-tor*}
"""


def test_guests_with_ipv6_alone_and_jumbo_packets_and_lossy_cables(settings: Settings, tmp_path: Path) -> None:
    with running(SIX, "t-six", settings, tmp_path) as dc:
        assert differences(dc) == ()
        first, second = (dc.servers[f"rack{rack}-cs0"] for rack in range(2))
        argv = ["ping", "-n", "-q", "-M", "do", "-c", "20", "-i", "0.05", "-W", "1"]
        size = 4000 - 48  # IPv6 and ICMPv6
        said = first.run([*argv, "-s", str(size), str(second.spec.node.ip)], check=False, timeout=60.0).stdout
        assert " 0 received" not in said
        too_large = first.run([*argv, "-s", str(size + 1), str(second.spec.node.ip)], check=False, timeout=60.0).stdout
        assert " 0 received" in too_large
        # a request and its answer each meet one lossy cable, or the same cable in one direction
        client = dc.externals["external"]
        for server in (first, second):
            assert 0.22 < lost(client, server.spec.node.ip, 600) < 0.38
