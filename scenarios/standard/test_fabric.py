"""An ordinary day in the fabric: every session, every path, every pair."""

import itertools
from ipaddress import IPv4Address

import pytest

from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.pace import deadline
from vdc.datacenter.reachability import expect_reaches
from vdc.faults import Inject, RoutersOff
from vdc.faults.selectors import rack, tors
from vdc.model.topology import Tier
from vdc.wait import wait_for

pytestmark = pytest.mark.standard


def test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel(dc: DataCenter) -> None:
    """Each session is Established with BFD Up at both ends; no table lacks a route or has one too many."""
    asked = {name: device.sessions() for name, device in {**dc.routers, **dc.servers}.items()}
    expected = {router.name: len(router.sessions) for router in dc.topology.routers}
    expected |= {server.name: len(server.sessions) for server in dc.topology.servers}
    assert expected
    assert {name: len(sessions) for name, sessions in asked.items()} == expected
    for name, sessions in asked.items():
        assert sessions, f"{name} speaks with nobody"
        for session in sessions:
            assert (session.bgp, session.bfd) == ("Established", "Up"), f"{name}: {session}"
    wrong = differences(dc)
    assert not wrong, "\n".join(wrong)


def test_every_pair_of_racks_is_joined_over_every_spine(dc: DataCenter) -> None:
    """From any ToR to another rack there are as many next hops as spines; from any server as many as ToRs."""
    spines = len(dc.topology.tier(Tier.SPINE))
    tables = {name: device.routes() for name, device in {**dc.routers, **dc.servers}.items()}
    pairs = list(itertools.permutations(dc.topology.racks, 2))
    assert pairs
    for here, there in pairs:
        near, far = rack(dc, here), rack(dc, there)
        targets = [dc.topology.router(tor).loopback.network for tor in far.routers]
        targets += [dc.topology.server(server).node.network for server in far.servers]
        assert targets
        for target in targets:
            for tor in near.routers:
                assert len(tables[tor].get(target, ())) == spines, f"{tor} to {target}"
            for server in near.servers:
                ports = len(dc.topology.server(server).ports)
                assert len(tables[server].get(target, ())) == ports, f"{server} to {target}"


def test_each_server_reaches_all_others_and_the_outside_over_one_tor_alone(dc: DataCenter, inject: Inject) -> None:
    """Each ToR of a rack in turn is the only one; each server reaches all others and the clients outside."""
    indexes = {tor.index for tor in dc.topology.tier(Tier.TOR)}
    assert len(indexes) > 1, "no rack has a second ToR: there is nothing to switch off"
    assert len(dc.servers) > 1
    assert dc.externals
    for alone in sorted(indexes):
        off = tuple(name for index in sorted(indexes - {alone}) for name in tors(dc, index))
        with dc.steps.step(f"only ToR {alone} of each rack"), inject(RoutersOff(off)):
            wait_converged(dc, down=off)
            for server, target in itertools.product(dc.servers.values(), _targets(dc)):
                if target != server.spec.node.ip:
                    _expect_soon(dc, server, target)
        wait_converged(dc)


def _targets(dc: DataCenter) -> tuple[IPv4Address, ...]:
    return (
        *(server.node.ip for server in dc.topology.servers),
        *(external.address.ip for external in dc.topology.externals),
    )


def _expect_soon(dc: DataCenter, server: Machine, target: IPv4Address) -> None:
    wait_for(
        lambda: expect_reaches(server, target),
        what=f"{server.name} to reach {target}",
        timeout=deadline(dc, 10.0),
    )
