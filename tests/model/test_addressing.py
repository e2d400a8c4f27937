"""The document of the formulas, and their edges."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest

from tests.model.strategies import FOLDER, small
from vdc.model import addressing
from vdc.model.topology import Tier

DOCUMENT = FOLDER / "ADDRESSING.md"


def example() -> str:
    """The table at the end of the document: what the formulas make of small.yml."""
    topology, lines = small(), []
    for router in topology.routers:
        on = ", ".join(f"`{end.interface}` {end.address}" for end in router.interfaces)
        lines.append(f"| `{router.name}` | {router.asn} | {router.loopback} | {on} |\n")
    for server in topology.servers:
        on = ", ".join(f"`{port.interface}` {port.address}" for port in server.ports)
        lines.append(f"| `{server.name}` | {server.asn} | {server.node} | {on} |\n")
    for client in topology.externals:
        lines.append(f"| `{client.name}` | | | `{client.interface}` {client.address} |\n")
    return "".join(lines)


def test_the_documents_example_is_what_comes_out() -> None:
    assert DOCUMENT.read_text(encoding="utf-8").endswith(f"|---|---|---|---|\n{example()}")


def test_blocks_are_powers_of_two_and_no_smaller_than_the_least() -> None:
    assert [addressing.block(most) for most in (0, 1, 2, 3, 4, 5, 16, 17)] == [1, 1, 2, 4, 4, 8, 16, 32]
    assert [addressing.block(most, 4) for most in (0, 3, 5)] == [4, 4, 8]


def test_tors_count_from_the_start_of_a_pool_and_all_others_from_its_end() -> None:
    assert [addressing.router_number(Tier.TOR, number, 254) for number in (0, 1)] == [0, 1]
    others = [(tier, n) for n in (0, 1) for tier in (Tier.BORDER, Tier.SUPERSPINE, Tier.SPINE, Tier.ROUTER)]
    assert [addressing.router_number(*each, 254) for each in others] == [253, 252, 251, 250, 249, 248, 247, 246]


def test_the_end_of_a_great_pool_is_that_of_its_first_numbers() -> None:
    pool = ip_network("fd00::/64")
    number = addressing.router_number(Tier.BORDER, 0, addressing.host_capacity(pool))
    assert str(addressing.host(pool, number)) == "fd00::10:0/128"
    assert addressing.last_position(pool) == addressing.last_position(ip_network("10.0.0.0/16")) == 254
    assert addressing.last_position(ip_network("10.0.0.0/29")) == 6


@pytest.mark.parametrize("pool", ["10.0.0.0/24", "fd00::/120"])
def test_the_first_and_last_link_of_a_pool_are_its_ends(pool: str) -> None:
    network = ip_network(pool)
    capacity = addressing.link_capacity(network)
    room = 4
    last = addressing.link_number(Tier.BORDER, 0, room - 1, room, capacity)
    first = addressing.link_number(Tier.TOR, 0, 0, room, capacity)
    assert addressing.link_ends(network, first)[0].ip == network.network_address
    assert addressing.link_ends(network, last)[1].ip == network.broadcast_address


def test_pools_tell_how_much_they_hold() -> None:
    assert addressing.host_capacity(IPv4Network("10.0.0.0/26")) == 62
    assert addressing.segment_capacity(IPv4Network("10.0.0.0/16"), 26) == 1024
    assert addressing.segment_capacity(IPv6Network("fd00::/64"), 60) == 0
