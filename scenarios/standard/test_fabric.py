"""An ordinary day in the fabric: every session, every path, every pair."""

import itertools
from collections.abc import Sized

import pytest

from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.convergence import differences, sessions_of, wait_converged
from vdc.datacenter.pace import deadline
from vdc.datacenter.reachability import expect_reaches
from vdc.faults import Inject, RoutersOff
from vdc.faults.selectors import Rack, rack
from vdc.model.ip import Address
from vdc.model.topology import SegmentKind, Server, Tier
from vdc.wait import wait_for

pytestmark = pytest.mark.standard


def test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel(dc: DataCenter) -> None:
    """Each session is Established, with BFD Up where it has BFD; no table lacks a route or has one too many."""
    devices = {**dc.routers, **dc.servers}
    asked = {name: {each.peer: each for each in device.sessions()} for name, device in devices.items()}
    expected = {name: {each.peer: each for each in sessions_of(dc, name)} for name in devices}
    assert {name: set(sessions) for name, sessions in asked.items()} == {name: set(expected[name]) for name in expected}
    assert any(expected.values())
    for name, sessions in expected.items():
        for peer, session in sessions.items():
            seen = asked[name][peer]
            bfd = "Up" if dc.topology.bfd_of(session) else None
            assert (seen.bgp, seen.bfd) == ("Established", bfd), f"{name}: {seen}"
    wrong = differences(dc)
    assert not wrong, "\n".join(wrong)


def test_every_pair_of_racks_is_joined_over_every_spine(dc: DataCenter) -> None:
    """From any ToR to another rack there are as many next hops as its spines; from any server as many as its ToRs."""
    tables = {name: device.routes() for name, device in {**dc.routers, **dc.servers}.items()}
    pairs = list(itertools.permutations(dc.topology.racks, 2))
    assert pairs
    for here, there in pairs:
        near, far = rack(dc, here), rack(dc, there)
        targets = [address.network for tor in far.routers for address in dc.topology.router(tor).loopbacks]
        targets += [address.network for server in _members(dc, far) for address in server.nodes]
        assert targets
        for target in targets:
            for tor in near.routers:
                assert len(tables[tor].get(target, ())) == _ways(dc, _spines(dc, tor)), f"{tor} to {target}"
            for server in _members(dc, near):
                assert len(tables[server.name].get(target, ())) == _ways(dc, server.sessions), (
                    f"{server.name} to {target}"
                )


def test_each_server_reaches_all_others_and_the_outside_over_one_tor_alone(dc: DataCenter, inject: Inject) -> None:
    """In each rack one ToR in turn is the only one; each server reaches all others and the clients outside."""
    racks = [rack(dc, number).routers for number in dc.topology.racks]
    most = max(map(len, racks), default=0)
    assert most > 1, "no rack has a second ToR: there is nothing to switch off"
    servers = [dc.servers[server.name] for server in dc.topology.members]
    assert len(servers) > 1
    targets = _targets(dc)
    for alone in range(most):
        off = tuple(tor for tors in racks for index, tor in enumerate(tors) if index != alone % len(tors))
        with dc.steps.step(f"only ToR {alone} of each rack"), inject(RoutersOff(off)):
            wait_converged(dc, down=off)
            for server, target in itertools.product(servers, targets):
                if target not in {address.ip for address in server.spec.nodes}:
                    _expect_soon(dc, server, target)
        wait_converged(dc)


def _members(dc: DataCenter, where: Rack) -> tuple[Server, ...]:
    return tuple(server for server in dc.topology.members if server.name in where.servers)


def _spines(dc: DataCenter, tor: str) -> tuple[str, ...]:
    spines = {router.name for router in dc.topology.tier(Tier.SPINE)}
    return tuple(each.peer_device for each in dc.topology.router(tor).sessions if each.peer_device in spines)


def _ways(dc: DataCenter, neighbours: Sized) -> int:
    return min(dc.topology.routing.ecmp, len(neighbours))


def _targets(dc: DataCenter) -> tuple[Address, ...]:
    """Return all servers, and the clients behind borders that know the way back."""
    outside = {segment.name for segment in dc.topology.segments if segment.kind is SegmentKind.EXTERNAL}
    clients = [client for client in dc.topology.externals if client.segment in outside]
    assert clients
    return (
        *(address.ip for server in dc.topology.members for address in server.nodes),
        *(address.ip for client in clients for address in client.addresses if not dc.topology.routing.exposed),
    )


def _expect_soon(dc: DataCenter, server: Machine, target: Address) -> None:
    wait_for(
        lambda: expect_reaches(server, target),
        what=f"{server.name} to reach {target}",
        timeout=deadline(dc, 10.0),
    )
