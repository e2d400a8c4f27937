"""Waiting until the fabric routes as its topology says: sessions, and routes in the kernels' tables."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from itertools import chain, islice

from vdc.datacenter.api import DataCenter, Routes, SessionState, Speaker
from vdc.datacenter.pace import deadline
from vdc.errors import VdcError
from vdc.model.routing import expected_routes, expected_sessions
from vdc.model.topology import Session
from vdc.wait import NotYet, wait_for

Cut = tuple[str, str]
"""A cable that is unplugged: a device and its interface."""

_FABRIC_SECONDS = 30.0
_SERVER_SECONDS = 60.0
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
    too few. The default `timeout` is 30 s for a fabric of routers alone, else 60 s scaled by the host's
    slowness.

    Raises:
        WaitTimeout: naming the first few differences.
    """
    living = [name for name in dc.servers if name not in down]
    default = deadline(dc, _SERVER_SECONDS) if living else (_FABRIC_SECONDS if dc.slowness else 0.0)
    start = time.monotonic()
    wait_for(
        _Convergence(dc, down, cut).check,
        what=f"{dc.name} to converge",
        timeout=default if timeout is None else timeout,
    )
    return time.monotonic() - start


def differences(dc: DataCenter, *, down: Collection[str] = (), cut: Collection[Cut] = ()) -> tuple[str, ...]:
    """Return every difference between what the devices say now and what the topology implies, as text."""
    looked = _Convergence(dc, down, cut)
    return (*looked.of_routers(), *looked.of_servers())


def session_differences(device: str, wanted: Mapping[IPv4Address, str], seen: Iterable[SessionState]) -> Iterator[str]:
    """Yield what is wrong with the sessions of `device`; `wanted` is peer address to peer device."""
    states = {state.peer: state for state in seen}
    for peer, name in wanted.items():
        state = states.get(peer)
        if state is None or state.bgp != "Established":
            yield f"{device}: session with {name} is {state.bgp if state else 'absent'}, expected Established"
        elif state.bfd != "Up":
            yield f"{device}: BFD with {name} is {state.bfd or 'absent'}, expected Up"
    for peer, state in states.items():
        if state.bgp == "Established" and peer not in wanted:
            yield f"{device}: session {state.name} is Established, expected down"


def route_differences(device: str, wanted: Routes, seen: Routes) -> Iterator[str]:
    """Yield what is wrong with the routes in the kernel table of `device`."""
    for prefix in sorted({*wanted, *seen}):
        want, have = wanted.get(prefix), seen.get(prefix)
        if want != have:
            yield f"{device}: {_route(prefix, have)}, expected {_hops(want)}"


class _Convergence:
    """What is expected, worked out once, and the look at the devices, taken as often as needed."""

    def __init__(self, dc: DataCenter, down: Collection[str], cut: Collection[Cut]) -> None:
        self._dc = dc
        self._down = frozenset(down)
        self._routes = expected_routes(dc.topology, down=down, cut=cut)
        self._peers = expected_sessions(dc.topology, down=down, cut=cut)

    def check(self) -> None:
        """Return if nothing differs; raises NotYet naming the first differences.

        Routers answer in milliseconds, guests in half a second, so guests are asked only when the routers
        agree.
        """
        for look in (self.of_routers, self.of_servers):
            found = tuple(islice(look(), _SHOWN + 1))
            if found:
                more = "; …" if len(found) > _SHOWN else ""
                raise NotYet("; ".join(found[:_SHOWN]) + more)

    def of_routers(self) -> Iterator[str]:
        """Yield the differences of the routers, asking one after the other."""
        return chain.from_iterable(self._of(name) for name in self._dc.routers if name not in self._down)

    def of_servers(self) -> Iterator[str]:
        """Yield the differences of the servers, which take their time to answer, so all are asked at once."""
        living = [name for name in self._dc.servers if name not in self._down]
        with ThreadPoolExecutor(max(1, len(living))) as pool:
            yield from chain.from_iterable(pool.map(lambda name: tuple(self._of(name)), living))

    def _of(self, name: str) -> Iterator[str]:
        device: Speaker = self._dc.routers[name] if name in self._dc.routers else self._dc.servers[name]
        try:
            sessions, routes = device.routing()
        except VdcError as error:
            yield f"{name}: does not answer: {error.message}"
            return
        yield from session_differences(name, self._wanted(name), sessions)
        yield from route_differences(name, self._routes.get(name, {}), routes)

    def _wanted(self, name: str) -> Mapping[IPv4Address, str]:
        peers = self._peers.get(name, frozenset())
        return {s.peer: s.peer_device for s in sessions_of(self._dc, name) if s.peer_device in peers}


def sessions_of(dc: DataCenter, device: str) -> tuple[Session, ...]:
    """Return the sessions that the topology gives a router or a server."""
    if device in dc.routers:
        return dc.topology.router(device).sessions
    return dc.topology.server(device).sessions


def _route(prefix: IPv4Network, hops: frozenset[IPv4Address] | None) -> str:
    return f"{prefix} {'missing' if hops is None else 'via ' + _hops(hops)}"


def _hops(hops: frozenset[IPv4Address] | None) -> str:
    return "no route" if hops is None else "{" + ", ".join(map(str, sorted(hops))) + "}"
