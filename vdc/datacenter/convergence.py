"""Waiting until the fabric routes as its topology says: sessions, and routes in the kernels' tables."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import NamedTuple

from vdc.datacenter.api import DataCenter, Routes, SessionState, device_of
from vdc.datacenter.pace import deadline
from vdc.errors import VdcError
from vdc.model.ip import Address, Prefix
from vdc.model.routing import expected_routes, expected_sessions
from vdc.model.topology import Session, Topology
from vdc.wait import NotYet, wait_for

Cut = tuple[str, str]
"""A cable that is unplugged: a device and its interface."""

_FABRIC_SECONDS = 30.0
_UPDATE_SECONDS = 70e-6
"""For what each end of a session tells of each router: three times what it takes on two cores."""
_SERVER_SECONDS = 60.0
_INTERVAL, _INTERVAL_SHARE = 0.1, 1 / 400
_SHOWN = 3


def wait_converged(
    dc: DataCenter,
    *,
    down: Collection[str] = (),
    cut: Collection[Cut] = (),
    timeout: float | None = None,
) -> float:
    """Wait until the data centre routes as its topology implies, and return the seconds it took.

    `down` are devices that are off, `cut` cables that are unplugged. On every other device exactly the
    expected BGP sessions are Established, with BFD (RFC 5880) Up, and its kernel table holds exactly the
    expected BGP routes with exactly the expected next hops: a route or a next hop too many is as wrong as one
    too few. The default `timeout` is 30 s and what the size of the fabric takes; with servers not less than 60 s scaled
    by the host's slowness.

    Raises:
        WaitTimeout: naming the first few differences.
    """
    living = [name for name in dc.servers if name not in down]
    routers = fabric_seconds(dc.topology) if dc.slowness else 0.0
    default = max(routers, deadline(dc, _SERVER_SECONDS)) if living else routers
    start = time.monotonic()
    allowed = default if timeout is None else timeout
    wait_for(
        _Convergence(dc, down, cut).check,
        what=f"{dc.name} to converge",
        timeout=allowed,
        # asking many takes time that they need
        interval=max(_INTERVAL, _INTERVAL_SHARE * allowed),
    )
    return time.monotonic() - start


def differences(dc: DataCenter, *, down: Collection[str] = (), cut: Collection[Cut] = ()) -> tuple[str, ...]:
    """Return every difference between what the devices say now and what the topology implies, as text."""
    looked = _Convergence(dc, down, cut)
    return (*looked.of_routers(), *looked.of_servers())


def fabric_seconds(topology: Topology) -> float:
    """Return how long the routers of a fabric alone may take: each end of a session tells of each router."""
    ends = sum(len(router.sessions) for router in topology.routers)
    return _FABRIC_SECONDS + _UPDATE_SECONDS * ends * len(topology.routers)


def session_differences(
    device: str, wanted: Mapping[Address, str], seen: Iterable[SessionState], *, without_bfd: Collection[Address] = ()
) -> Iterator[str]:
    """Yield what is wrong with the sessions of `device`; `wanted` is peer address to peer device."""
    states = {state.peer: state for state in seen}
    for peer, name in wanted.items():
        state = states.get(peer)
        if state is None or state.bgp != "Established":
            yield f"{device}: session with {name} is {state.bgp if state else 'absent'}, expected Established"
        elif state.bfd != "Up" and peer not in without_bfd:
            yield f"{device}: BFD with {name} is {state.bfd or 'absent'}, expected Up"
    for peer, state in states.items():
        if state.bgp == "Established" and peer not in wanted:
            yield f"{device}: session {state.name} is Established, expected down"


def route_differences(device: str, wanted: Routes, seen: Routes, *, ecmp: int = 256) -> Iterator[str]:
    """Yield what is wrong with the routes in the kernel table of `device`, which has at most `ecmp` next hops for each.

    Where there are more, any of them will do.
    """
    # most routes share their next hops with others, which are compared once
    agreed: dict[tuple[int, int], bool] = {}
    different = []
    for prefix in {*wanted, *seen}:
        want, have = wanted.get(prefix), seen.get(prefix)
        both = id(want), id(have)
        if both not in agreed:
            agreed[both] = _agree(want, have, ecmp)
        if not agreed[both]:
            different.append(prefix)
    for prefix in sorted(different, key=lambda each: (each.version, each)):
        yield f"{device}: {_route(prefix, seen.get(prefix))}, expected {_hops(wanted.get(prefix), ecmp)}"


def without_services(topology: Topology, seen: Routes, expected: Collection[Prefix] = ()) -> Routes:
    """Return routes without those to single addresses of a cluster's load balancers that are not expected.

    Servers announce them as the cluster wants it, so that no topology implies them.
    """
    pools = topology.kubernetes.load_balancers if topology.kubernetes else ()
    if not pools:
        return seen
    return {
        prefix: hops
        for prefix, hops in seen.items()
        if prefix in expected or not any(_single(prefix, each) for each in pools)
    }


def _single(prefix: Prefix, pool: Prefix) -> bool:
    """Return whether a prefix is one address out of a pool."""
    return prefix.prefixlen == prefix.max_prefixlen and prefix.network_address in pool


class _Convergence:
    """What is expected, worked out once, and the look at the devices, taken as often as needed."""

    def __init__(self, dc: DataCenter, down: Collection[str], cut: Collection[Cut]) -> None:
        self._dc = dc
        self._down = frozenset(down)
        self._routes = expected_routes(dc.topology, down=down, cut=cut)
        self._peers = expected_sessions(dc.topology, down=down, cut=cut)
        self._settled: set[str] = set()
        self._wants: dict[str, _Wanted] = {}

    def check(self) -> None:
        """Return if nothing differs; raises NotYet naming the first differences.

        Routers answer in milliseconds, guests in half a second, so guests are asked only when the routers
        agree. A router that has agreed is asked again only when all have: all of them agree in one look at the end.
        """
        seen_before = bool(self._settled)
        _refuse(self._of_unsettled())
        if seen_before:
            self._settled.clear()
            _refuse(self._of_unsettled())
        _refuse(self.of_servers())

    def of_routers(self) -> Iterator[str]:
        """Yield the differences of the routers, asking one after the other."""
        return chain.from_iterable(self._of(name) for name in self._dc.routers if name not in self._down)

    def _of_unsettled(self) -> Iterator[str]:
        for name in self._dc.routers:
            if name in self._down or name in self._settled:
                continue
            found = tuple(self._of(name))
            yield from found
            if not found:
                self._settled.add(name)

    def of_servers(self) -> Iterator[str]:
        """Yield the differences of the servers, which take their time to answer, so all are asked at once."""
        living = [name for name in self._dc.servers if name not in self._down]
        with ThreadPoolExecutor(max(1, len(living))) as pool:
            yield from chain.from_iterable(pool.map(lambda name: tuple(self._of(name)), living))

    def _of(self, name: str) -> Iterator[str]:
        try:
            sessions, routes = device_of(self._dc, name).routing()
        except VdcError as error:
            yield f"{name}: does not answer: {error.message}"
            return
        wanted = self._wanted(name)
        yield from session_differences(name, wanted.peers, sessions, without_bfd=wanted.without_bfd)
        topology, expected = self._dc.topology, self._routes.get(name, {})
        routes = without_services(topology, routes, expected)
        yield from route_differences(name, expected, routes, ecmp=topology.routing.ecmp)

    def _wanted(self, name: str) -> _Wanted:
        if name not in self._wants:
            peers = self._peers.get(name, frozenset())
            topology = self._dc.topology
            sessions = [each for each in sessions_of(self._dc, name) if each.peer_device in peers]
            self._wants[name] = _Wanted(
                peers={each.peer: each.peer_device for each in sessions},
                without_bfd=frozenset(each.peer for each in sessions if topology.bfd_of(each) is None),
            )
        return self._wants[name]


class _Wanted(NamedTuple):
    """The sessions that a device must have: peer address to peer device, and the peers without BFD."""

    peers: Mapping[Address, str]
    without_bfd: frozenset[Address]


def sessions_of(dc: DataCenter, device: str) -> tuple[Session, ...]:
    """Return the sessions that the topology gives a router or a server."""
    if device in dc.routers:
        return dc.topology.router(device).sessions
    return dc.topology.server(device).sessions


def _refuse(differences: Iterator[str]) -> None:
    """Raise NotYet naming the first differences, if there are any."""
    found = tuple(islice(differences, _SHOWN + 1))
    if found:
        raise NotYet("; ".join(found[:_SHOWN]) + ("; …" if len(found) > _SHOWN else ""))


def _agree(want: frozenset[Address] | None, have: frozenset[Address] | None, ecmp: int) -> bool:
    return want == have or (
        want is not None and have is not None and len(have) == min(ecmp, len(want)) and have <= want
    )


def _route(prefix: Prefix, hops: frozenset[Address] | None) -> str:
    return f"{prefix} {'missing' if hops is None else 'via ' + _hops(hops)}"


def _hops(hops: frozenset[Address] | None, ecmp: int = 256) -> str:
    if hops is None:
        return "no route"
    listed = "{" + ", ".join(map(str, sorted(hops, key=lambda each: (each.version, each)))) + "}"
    return listed if len(hops) <= ecmp else f"{ecmp} of {listed}"
