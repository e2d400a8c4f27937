"""The node as the agent sees and changes it: files, BIRD, dnsmasq, the kernel."""

from __future__ import annotations

import signal
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.cluster.kubernetes.agent.fake_bird import FakeBird
from vdc.cluster.kubernetes.agent.node import Node
from vdc.cluster.kubernetes.agent.settings import Settings

POD, OWN = IPv4Address("10.80.0.2"), IPv4Address("10.64.0.1")
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
veth12345678\t0200500A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
eth0\t0300500A\t0100020A\t0007\t0\t0\t32\tFFFFFFFF\t0\t0\t0
*\t0400500A\t00000000\t0005\t0\t0\t32\tC0FFFFFF\t0\t0\t0
"""
VIRTUAL = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A8C0001:0050 rr
  -> 0A500002:1F90      Masq    1      0          0
TCP  0A8C0002:0050 rr
TCP  0A8C0003:0050 rr
  -> 0A500002:1F90      Masq    0      0          0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "route").write_text(ROUTES)
    (tmp_path / "net" / "ip_vs").write_text(VIRTUAL)
    return tmp_path


@pytest.fixture
def own_path(settings: Settings, short_path: Path) -> Settings:
    return replace(settings, bird=short_path / "bird.ctl")


def test_a_file_is_written_once(settings: Settings) -> None:
    node = Node(settings)
    assert node.write(settings.hosts, "a\n")
    assert not node.write(settings.hosts, "a\n")
    assert node.write(settings.hosts, "b\n")
    assert settings.hosts.read_text() == "b\n"
    assert settings.hosts.stat().st_mode & 0o777 == 0o644, "dnsmasq and BIRD are not root"
    assert [each.name for each in settings.hosts.parent.iterdir()] == ["hosts"]


def test_bird_reads_its_configuration_again(own_path: Settings) -> None:
    bird = FakeBird(own_path.bird, b"0002-Reading configuration from /etc/bird/bird.conf\n", b"0003 Reconfigured\n")
    Node(own_path).reload_routes()
    bird.close()
    assert bird.heard == [b"configure\n"]


def test_a_configuration_that_bird_refuses_is_said(own_path: Settings) -> None:
    bird = FakeBird(own_path.bird, b"0002-Reading configuration\n8002 /run/x:2:1 syntax error\n")
    with pytest.raises(OSError, match="syntax error"):
        Node(own_path).reload_routes()
    bird.close()


def test_a_bird_that_hangs_up_is_said(own_path: Settings) -> None:
    bird = FakeBird(own_path.bird, b"0002-Reading")
    with pytest.raises(OSError, match="closed"):
        Node(own_path).reload_routes()
    bird.close()


def test_a_bird_that_does_not_run_is_said(own_path: Settings) -> None:
    with pytest.raises(OSError, match="BIRD does not answer"):
        Node(own_path).reload_routes()


def test_only_dnsmasq_is_told_to_read_its_names(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process, name in (("11", "sh"), ("12", "dnsmasq")):
        (tmp_path / process).mkdir()
        (tmp_path / process / "comm").write_text(f"{name}\n")
    settings.dns_processes.write_text("11\n12\n")
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda process, number: told.append((process, number)))
    Node(settings, tmp_path).reload_names()
    assert told == [(12, signal.SIGHUP)]


def test_a_dnsmasq_that_does_not_run_needs_no_telling(settings: Settings, tmp_path: Path) -> None:
    Node(settings, tmp_path).reload_names()
    settings.dns_processes.write_text("13\n")
    Node(settings, tmp_path).reload_names()


@pytest.mark.parametrize(
    ("address", "local"),
    [(POD, True), (OWN, True), (POD + 1, False), (POD + 2, False), (POD + 3, False)],
    ids=["a pod here", "the node", "a pod behind a router", "a block", "nobody"],
)
def test_an_address_is_local_where_the_kernel_says_so(
    settings: Settings, proc: Path, address: IPv4Address, local: bool
) -> None:
    assert Node(settings, proc).is_local(address) is local


@pytest.mark.parametrize(("number", "programmed"), [(1, True), (2, False), (3, False), (4, False)])
def test_with_ipvs_an_address_is_programmed_when_it_has_a_backend(
    settings: Settings, proc: Path, number: int, programmed: bool
) -> None:
    node = Node(replace(settings, proxy="ipvs"), proc)
    assert node.is_programmed(IPv4Address("10.140.0.0") + number, {POD}) is programmed
    assert not node.is_programmed(IPv4Address("10.140.0.0") + number, {POD + 1})


@pytest.fixture
def iptables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "iptables-save"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    return program


RULES = """\
-A KUBE-SERVICES -d 10.140.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-FW-X
-A KUBE-SEP-Y -p tcp -m tcp -j DNAT --to-destination 10.80.0.2:8080
"""


def test_with_iptables_an_address_is_programmed_when_there_are_rules(settings: Settings, iptables: Path) -> None:
    iptables.write_text(f"#!/bin/sh\ncat <<END\n{RULES}END\n")
    iptables.chmod(0o755)
    node = Node(settings)
    assert node.is_programmed(IPv4Address("10.140.0.1"), {POD, POD + 1})
    assert not node.is_programmed(IPv4Address("10.140.0.11"), {POD})
    # it knows the service, but so far only backends elsewhere
    assert not node.is_programmed(IPv4Address("10.140.0.1"), {IPv4Address("10.80.0.20")})


def test_rules_that_cannot_be_read_are_said(settings: Settings, iptables: Path) -> None:
    iptables.write_text("#!/bin/sh\necho no permission >&2; exit 4\n")
    iptables.chmod(0o755)
    with pytest.raises(OSError, match="iptables-save: no permission"):
        Node(settings).is_programmed(IPv4Address("10.140.0.1"), {POD})
