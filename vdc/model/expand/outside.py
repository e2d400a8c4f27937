"""What lies outside the fabric: the prefixes that routers originate because of it, and the internet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from typing import Final

from vdc.model import addressing
from vdc.model.expand.shape import Shape, exposed_pool
from vdc.model.ip import Prefix
from vdc.model.spec import EXPOSED
from vdc.model.topology import Internet, Router, Segment, SegmentKind, Tier

DEFAULT_ROUTE: Final = IPv4Network("0.0.0.0/0")

_OF_TIER: Final = {
    Tier.BORDER: (SegmentKind.EXTERNAL, SegmentKind.OPERATION),
    Tier.ROUTER: (SegmentKind.FLAT,),
}


def originated(shape: Shape, router: Router, segments: Iterable[Segment]) -> tuple[Prefix, ...]:
    """Return what a router announces besides its loopbacks: networks that it stands on, and the way to the internet.

    A border those outside, a router beside the fabric the file's own.
    """
    versions = {pools.link.version for pools in shape.pools}
    prefixes = tuple(
        prefix
        for segment in segments
        if segment.kind in _OF_TIER.get(router.tier, ())
        for prefix in segment.prefixes
        if prefix.version in versions
    )
    return (*prefixes, DEFAULT_ROUTE) if router.name == _internet_border(shape) else prefixes


def make_internet(shape: Shape) -> Internet | None:
    """Return the way to the internet, if the file asks for it."""
    border = _internet_border(shape)
    if border is None:
        return None
    pool = shape.spec.pools.internet
    gateway, address = addressing.port(pool, 1), addressing.port(pool, 2)
    assert isinstance(gateway, IPv4Interface)
    assert isinstance(address, IPv4Interface)
    return Internet(
        border=border,
        interface=addressing.INTERNET,
        address=address,
        gateway=gateway,
        sources=tuple(_sources(shape)),
        mtu=shape.mtu,
        namespace=shape.spec.internet.namespace,
    )


def _internet_border(shape: Shape) -> str | None:
    wanted = shape.spec.internet.nat and shape.spec.fabric.borders > 0
    return addressing.router_name(Tier.BORDER, 0) if wanted else None


def _sources(shape: Shape) -> Iterator[IPv4Network]:
    """Yield the prefixes that are translated: those that the border has a way back to."""
    spec, pools = shape.spec, shape.spec.pools
    if spec.external.clients:
        yield pools.external
    if spec.operation.clients:
        yield pools.operation
    if not spec.routing.exposed:
        yield from (pools.loopback, pools.node, pools.pod)
    for name in EXPOSED:
        prefix = exposed_pool(pools, name)
        if isinstance(prefix, IPv4Network):
            yield prefix
