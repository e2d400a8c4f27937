"""What routers and servers print of their routing, as BIRD 2.0.12 and iproute2 6.1 write it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from vdc.datacenter.machine import parse_routes, session_states
from vdc.host.bird import parse_bfd

ROUTES = {
    "none": ("", {}),
    "an empty list": ("[ ]", {}),
    "one next hop": ('[{"dst":"10.64.0.1","gateway":"10.0.0.2"}]', {"10.64.0.1/32": {"10.0.0.2"}}),
    "two next hops": (
        '[{"dst":"10.64.0.0/26","nexthops":[{"gateway":"10.0.0.2"},{"gateway":"10.0.0.4"}]}]',
        {"10.64.0.0/26": {"10.0.0.2", "10.0.0.4"}},
    ),
    "IPv4 over IPv6": (
        '[{"dst":"10.1.0.1","nexthops":[{"via":{"family":"inet6","host":"fe80::2"}},{"gateway":"10.0.0.4"}]}]',
        {"10.1.0.1/32": {"fe80::2", "10.0.0.4"}},
    ),
    "both families, one after the other": (
        '[{"dst":"10.1.0.1","gateway":"10.0.0.2"}]\n[{"dst":"fd00:2::/64","gateway":"fe80::2"}]\n',
        {"10.1.0.1/32": {"10.0.0.2"}, "fd00:2::/64": {"fe80::2"}},
    ),
    "default routes of both families": (
        '[{"dst":"default","gateway":"10.0.0.2"}][{"dst":"default","gateway":"fe80::2"}]',
        {"0.0.0.0/0": {"10.0.0.2"}, "::/0": {"fe80::2"}},
    ),
    "an IPv4 default route over IPv6": (
        '[{"dst":"default","via":{"family":"inet6","host":"fe80::2"}}]',
        {"0.0.0.0/0": {"fe80::2"}},
    ),
    "what is unreachable has none": ('[{"type":"unreachable","dst":"fd00:80::/64","dev":"lo"}]', {}),
}


@pytest.mark.parametrize("case", ROUTES)
def test_routes_are_read_with_all_their_next_hops(case: str) -> None:
    text, wanted = ROUTES[case]
    found = {prefix: set(hops) for prefix, hops in parse_routes(text).items()}
    assert found == {ip_network(prefix): set(map(ip_address, hops)) for prefix, hops in wanted.items()}


BFD = """\
bfd1:
IP address                Interface  State      Since         Interval  Timeout
10.0.0.3                  spine0     Up         2026-11-22 07:30:01.115    0.200    1.000
fd00:0:0:1::3             spine1     Down       2026-11-22 07:30:01.115    0.200    0.000
fe80::7                   spine2     Init       2026-11-22 07:30:01.115    0.200    1.000
"""


def test_bfd_sessions_of_both_families_are_read() -> None:
    assert parse_bfd(BFD) == {"10.0.0.3": "Up", "fd00:0:0:1::3": "Down", "fe80::7": "Init"}


def test_a_bird_without_bfd_has_no_such_sessions() -> None:
    assert parse_bfd("There is no BFD protocol running\n") == {}


PROTOCOL = """\
Name       Proto      Table      State  Since         Info
spine2     BGP        ---        up     2026-11-22    Established
  BGP state:          Established
    Neighbor address: fe80::7%spine2
    Neighbor AS:      4200000001
"""


def test_a_session_over_an_unnumbered_link_is_known_by_its_link_local_peer() -> None:
    (state,) = session_states(PROTOCOL, parse_bfd(BFD))
    assert (state.name, str(state.peer), state.bgp, state.bfd) == ("spine2", "fe80::7", "Established", "Init")
