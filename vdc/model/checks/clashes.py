"""Rules that need the resolved topology: what a file gives is nothing that another device gets by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TypeVar

from vdc.model.checks.addresses import given
from vdc.model.checks.base import Finding, Survey
from vdc.model.checks.devices import given_macs
from vdc.model.ip import Address, Interface
from vdc.model.spec import TopologySpec
from vdc.model.topology import Topology

_T = TypeVar("_T")


def has_own(spec: TopologySpec) -> bool:
    """Return whether a file gives any address or MAC."""
    survey = Survey(spec=spec)
    return any(True for _ in chain(given(survey), given_macs(survey)))


def clashes(spec: TopologySpec, topology: Topology) -> Iterator[Finding]:
    """Yield each address and MAC of the file that another device has too."""
    survey = Survey(spec=spec)
    owners = _owners(_addresses(topology))
    for path, address in given(survey):
        if len(devices := owners.get(address, [])) > 1:
            others = sorted(name for name in devices if name != path[1]) or devices
            yield Finding(path=path, message=f"{address} is an address of {others[0]} already")
    macs = _owners(_macs(topology))
    for path, mac in given_macs(survey):
        if len(devices := macs.get(mac, [])) > 1:
            others = sorted(name for name in devices if name != path[1]) or devices
            yield Finding(path=path, message=f"{mac} is a MAC of {others[0]} already")
    yield from _crossing_links(spec, topology)


def _crossing_links(spec: TopologySpec, topology: Topology) -> Iterator[Finding]:
    """A link with a prefix of its own does not share it with another."""
    for number, link in enumerate(spec.links):
        if link.addresses is None:
            continue
        one = link.addresses[0].network
        for other in topology.links:
            for address in other.a.addresses:
                if address.ip not in {each.ip for each in link.addresses} and _overlap(address, link.addresses[0]):
                    message = f"{one} overlaps with the link between {other.a.device} and {other.b.device}"
                    yield Finding(path=("links", number, "addresses"), message=message)


def _overlap(one: Interface, other: Interface) -> bool:
    return one.version == other.version and one.network.overlaps(other.network)


def _owners(pairs: Iterator[tuple[_T, str]]) -> Mapping[_T, list[str]]:
    found: dict[_T, list[str]] = {}
    for value, device in pairs:
        found.setdefault(value, []).append(device)
    return found


def _addresses(topology: Topology) -> Iterator[tuple[Address, str]]:
    for router in topology.routers:
        yield from ((each.ip, router.name) for each in router.loopbacks)
    for server in topology.servers:
        yield from ((each.ip, server.name) for each in (*server.nodes, *server.announces))
    for link in topology.links:
        yield from ((each.ip, end.device) for end in (link.a, link.b) for each in end.addresses)
    for segment in topology.segments:
        yield from ((each.ip, end.device) for end in segment.ports for each in end.addresses)


def _macs(topology: Topology) -> Iterator[tuple[str, str]]:
    ends = (end for link in topology.links for end in (link.a, link.b))
    ports = (end for segment in topology.segments for end in segment.ports)
    yield from ((end.mac, end.device) for end in chain(ends, ports) if end.mac is not None)
