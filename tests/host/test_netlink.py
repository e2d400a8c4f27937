"""Links, addresses and routes as the kernel then tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from vdc.errors import BuildError
from vdc.host import fib, namespaces, netlink
from vdc.plan.resources.network import Bridge, DefaultRoute, Loopback, Namespace, Plug, Tap, Veth
from vdc.shell import in_namespace, run

A, B = "vdc-ls-t.a", "vdc-ls-t.b"
MACS = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
WIRE = Veth(
    a=Plug(netns=A, name="b", mac=MACS[0], addresses=("10.9.0.0/31", "fd09::/127"), link_local="fe80::a/64", mtu=9000),
    b=Plug(netns=B, name="a", mac=MACS[1], addresses=("10.9.0.1/31", "fd09::1/127"), link_local="fe80::b/64", mtu=9000),
)


@pytest.fixture
def pair() -> Iterator[None]:
    """Two namespaces with a wire between them."""
    namespaces.remove_namespaces([A, B])
    namespaces.create_namespaces([Namespace(name=name, forwarding=True, ipv6=True) for name in (A, B)])
    try:
        netlink.create_veths([WIRE])
        yield
    finally:
        namespaces.remove_namespaces([A, B])


def ip(netns: str, *arguments: str) -> Any:
    done = run(in_namespace(netns, ["ip", "-j", *arguments]), timeout=10)
    return json.loads(done.stdout or "[]")


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("end", [WIRE.a, WIRE.b], ids=["near", "far"])
def test_an_end_of_a_wire_is_what_the_plan_says(end: Plug) -> None:
    (link,) = ip(end.netns, "address", "show", "dev", end.name)
    assert (link["address"], link["mtu"]) == (end.mac, end.mtu)
    assert {"UP", "LOWER_UP"} <= set(link["flags"])
    assert {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]} == {*end.addresses, end.link_local}
    assert not any("tentative" in each for each in link["addr_info"])


@pytest.mark.usefixtures("pair")
def test_both_ends_of_a_wire_know_each_other_for_good() -> None:
    neighbours = {each["dst"]: (each["lladdr"], each["state"]) for each in ip(A, "neighbour")}
    assert neighbours == dict.fromkeys(("10.9.0.1", "fd09::1", "fe80::b"), (MACS[1], ["PERMANENT"]))
    for address in ("10.9.0.1", "fd09::1", "fe80::b%b"):
        run(in_namespace(A, ["ping", "-c1", "-W2", address]), timeout=10)


@pytest.mark.usefixtures("pair")
def test_an_interface_that_is_down_takes_the_carrier_and_comes_back() -> None:
    netlink.set_links(A, ["b"], up=False)
    assert (netlink.carriers(A), netlink.carriers(B)) == ({"b": False}, {"a": False})
    netlink.set_links(A, None, up=True)
    assert (netlink.carriers(A), netlink.carriers(B)) == ({"b": True}, {"a": True})
    run(in_namespace(B, ["ping", "-c1", "-W2", "10.9.0.0"]), timeout=10)


@pytest.mark.usefixtures("pair")
def test_a_link_that_is_removed_is_gone_at_both_ends_and_removed_again_is_fine() -> None:
    netlink.remove_links(A, ["b"])
    assert netlink.carriers(B) == {}
    netlink.remove_links(A, ["b"])


@pytest.mark.usefixtures("pair")
def test_a_link_that_is_there_already_is_named() -> None:
    with pytest.raises(BuildError, match=f"veth:{A}/b: .*exists"):
        netlink.create_veths([WIRE])


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(BuildError, match=r"namespace:vdc-ls-t\.none: is not there"):
        netlink.carriers("vdc-ls-t.none")


def test_a_namespace_that_is_half_made_is_named() -> None:
    half = namespaces.NETNS_DIR / "vdc-ls-t.half"
    half.touch()
    try:
        with pytest.raises(BuildError, match=r"namespace:vdc-ls-t\.half: is half made"):
            netlink.carriers(half.name)
    finally:
        namespaces.remove_namespaces([half.name])
    assert not half.exists()


@pytest.mark.usefixtures("pair")
def test_a_bridge_has_its_taps_with_their_queues() -> None:
    netlink.create_bridges([Bridge(netns=A, name="br", mtu=4000)])
    netlink.create_taps([Tap(netns=A, name=f"t{n}", bridge="br", mtu=4000, queues=n) for n in (1, 4)])
    links = {link["ifname"]: link for link in ip(A, "-d", "link")}
    assert links["br"]["mtu"] == 4000
    for name, several in (("t1", False), ("t4", True)):
        assert (links[name]["master"], links[name]["mtu"]) == ("br", 4000)
        assert links[name]["linkinfo"]["info_data"]["multi_queue"] is several
        assert "UP" in links[name]["flags"]


@pytest.mark.usefixtures("pair")
def test_default_routes_lead_over_all_gateways_of_either_family() -> None:
    netlink.add_default_routes([DefaultRoute(netns=A, gateways=("10.9.0.1", "fd09::1"), after=())])
    assert ip(A, "-4", "route", "show", "default")[0]["gateway"] == "10.9.0.1"
    assert ip(A, "-6", "route", "show", "default")[0]["gateway"] == "fd09::1"


@pytest.mark.usefixtures("pair")
def test_the_routes_of_bird_are_read_and_no_others() -> None:
    netlink.add_loopbacks([Loopback(netns=A, addresses=("10.9.9.1/32", "fd09:9::1/128"))])
    netlink.create_veths(
        [
            Veth(
                a=Plug(netns=A, name="c", mac=MACS[0], addresses=("10.9.0.2/31", "fd09::2/127")),
                b=Plug(netns=B, name="c", mac=MACS[1], addresses=("10.9.0.3/31", "fd09::3/127")),
            )
        ]
    )
    for route in (
        "10.8.0.0/24 via 10.9.0.1 proto bird",
        "10.8.1.0/24 proto bird nexthop via 10.9.0.1 nexthop via 10.9.0.3",
        "10.8.2.0/24 via inet6 fe80::b dev b proto bird",
        "default via 10.9.0.3 proto bird",
        "fd08::/64 proto bird nexthop via fd09::1 nexthop via fd09::3",
        "fd08:1::/64 via fe80::b dev b proto bird",
        "unreachable 10.8.3.0/24 proto bird",
        "10.8.4.0/24 via 10.9.0.1 proto static",
    ):
        run(in_namespace(A, ["ip", "route", "add", *route.split()]), timeout=10)
    expected = {
        "10.8.0.0/24": ("10.9.0.1",),
        "10.8.1.0/24": ("10.9.0.1", "10.9.0.3"),
        "10.8.2.0/24": ("fe80::b",),
        "0.0.0.0/0": ("10.9.0.3",),
        "fd08::/64": ("fd09::1", "fd09::3"),
        "fd08:1::/64": ("fe80::b",),
    }
    assert fib.from_bird(A) == {ip_network(to): frozenset(map(ip_address, via)) for to, via in expected.items()}


def test_a_namespace_without_ipv6_has_none() -> None:
    try:
        namespaces.create_namespaces([Namespace(name=A)])
        assert [each["local"] for link in ip(A, "address") for each in link["addr_info"]] == ["127.0.0.1"]
    finally:
        namespaces.remove_namespaces([A])
