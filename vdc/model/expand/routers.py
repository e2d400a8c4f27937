"""Routers: names, numbers, AS numbers and loopbacks; their wires come later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, ip_interface

from vdc.model import addressing
from vdc.model.expand.shape import Shape, Spot, exposed_pool
from vdc.model.ip import Address, Interface, Prefix
from vdc.model.spec import EXPOSED
from vdc.model.topology import Router, Tier


def make_routers(shape: Shape) -> Iterator[Router]:
    """Yield the routers of the fabric from the outside in, then those beside it; not wired yet."""
    innermost = {inner.name for outer, inner, _ in shape.cables if outer.tier is Tier.BORDER}
    for spot in shape.spots:
        yield _router(shape, spot, _asn(shape, spot), aggregates=_aggregates(shape) if spot.name in innermost else ())
    for number, (name, device) in enumerate(shape.routers_beside.items()):
        spot = Spot(name=name, tier=Tier.ROUTER, number=number, index=number)
        yield _router(shape, spot, device.asn or shape.spec.asn.device + number, device.loopbacks or ())


def _router(
    shape: Shape, spot: Spot, asn: int, own: Iterable[Address] = (), *, aggregates: tuple[Prefix, ...] = ()
) -> Router:
    override = shape.spec.overrides.get(spot.name)
    if override is not None:
        asn, own = override.asn or asn, (*own, *(override.addresses or ()))
    loopbacks = prefer(own, (_loopback(shape, spot, pools.loopback) for pools in shape.pools))
    first = loopbacks[0].ip
    return Router(
        name=spot.name,
        tier=spot.tier,
        rack=spot.rack,
        pod=spot.pod,
        index=spot.index,
        asn=asn,
        router_id=first if isinstance(first, IPv4Address) else addressing.router_id(spot.tier, spot.number),
        loopbacks=loopbacks,
        interfaces=(),
        sessions=(),
        aggregates=aggregates,
    )


def _asn(shape: Shape, spot: Spot) -> int:
    asn = shape.spec.asn
    match spot.tier:
        case Tier.BORDER:
            return asn.border
        case Tier.SUPERSPINE:
            return asn.superspine
        case Tier.SPINE:
            return asn.spine + (spot.pod or 0)
        case _:
            shared = shape.spec.routing.rack == "ibgp" and spot.rack is not None
            return addressing.tor_asn(asn.tor, spot.rack if shared and spot.rack is not None else spot.number)


def _loopback(shape: Shape, spot: Spot, pool: Prefix) -> Interface:
    number = addressing.router_number(spot.tier, spot.number, addressing.host_capacity(pool))
    return addressing.host(pool, number)


def _aggregates(shape: Shape) -> tuple[Prefix, ...]:
    if not shape.spec.routing.exposed:
        return ()
    return tuple(pool for pools in shape.pools for name in EXPOSED if (pool := exposed_pool(pools, name)) is not None)


def prefer(own: Iterable[Address], computed: Iterable[Interface]) -> tuple[Interface, ...]:
    """Return the computed addresses; one of the file's own takes the place of that of its family, the last wins."""
    mine = {address.version: ip_interface(address) for address in own}
    return tuple(mine.get(each.version, each) for each in computed)
