"""Links: the wires of the fabric, and those of routers beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vdc.model import addressing
from vdc.model.expand.shape import Shape
from vdc.model.expand.wires import Properties, Wires
from vdc.model.ip import Interface, Prefix
from vdc.model.spec import InterfaceSpec
from vdc.model.topology import End, Link, Tier

_OUTER, _INNER = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wire:
    """A link before it has addresses: the inner router's tier and number, and which of its uplinks it is."""

    outer: str
    inner: str
    tier: Tier
    number: int
    uplink: int
    own: InterfaceSpec | None = None


def make_links(shape: Shape, wires: Wires) -> Iterator[Link]:
    """Yield the links of the fabric from the outside in, then those of routers beside it; the outer router is `a`."""
    for wire in _wires(shape):
        said = wires.properties(wire.outer, wire.inner)
        pairs = _pairs(shape, wire, said) if shape.spec.fabric.links == "numbered" else ()
        yield Link(
            a=_end(shape, wire, pairs, _OUTER),
            b=_end(shape, wire, pairs, _INNER),
            mtu=said.mtu or shape.mtu,
            to_b=said.to_other,
            to_a=said.to_one,
        )


def _wires(shape: Shape) -> Iterator[_Wire]:
    for outer, inner, uplink in shape.cables:
        yield _Wire(outer=outer.name, inner=inner.name, tier=inner.tier, number=inner.number, uplink=uplink)
    for number, (name, device) in enumerate(shape.routers_beside.items()):
        linked = [each for each in device.interfaces if each.link is not None]
        for uplink, own in enumerate(linked):
            yield _Wire(outer=str(own.link), inner=name, tier=Tier.ROUTER, number=number, uplink=uplink, own=own)


def _end(shape: Shape, wire: _Wire, pairs: Sequence[tuple[Interface, Interface]], side: int) -> End:
    device, peer = (wire.outer, wire.inner) if side == _OUTER else (wire.inner, wire.outer)
    own_mac = wire.own.mac if wire.own is not None and side == _INNER else None
    local = None
    if len(pairs) == 0 or any(pair[side].version == 6 for pair in pairs):
        local = addressing.link_local(_number(shape, wire, addressing.REACH), side)
    return End(
        device=device,
        interface=peer,
        addresses=tuple(pair[side] for pair in pairs),
        link_local=local,
        mac=own_mac or addressing.mac(shape.spec.name, device, peer),
    )


def _number(shape: Shape, wire: _Wire, capacity: int) -> int:
    room = shape.uplink_room[wire.tier is Tier.TOR]
    return addressing.link_number(wire.tier, wire.number, wire.uplink, room, capacity)


def _pairs(shape: Shape, wire: _Wire, said: Properties) -> tuple[tuple[Interface, Interface], ...]:
    return tuple(_pair(shape, wire, said, pools.link) for pools in shape.pools)


def _pair(shape: Shape, wire: _Wire, said: Properties, pool: Prefix) -> tuple[Interface, Interface]:
    """Return both ends' addresses out of `pool`, or those of its family that the file gives."""
    given = next((pair for pair in said.addresses if pair[0].version == pool.version), None)
    if given is not None:
        return given
    outer, inner = addressing.link_ends(pool, _number(shape, wire, addressing.link_capacity(pool)))
    own = wire.own.addresses or () if wire.own is not None else ()
    mine = next((each for each in own if each.version == pool.version), None)
    return (outer, inner) if mine is None else (_opposite(mine), mine)


def _opposite(address: Interface) -> Interface:
    """Return the other address of a /31, /127, /30 or /126; in a greater prefix the one of other last bits."""
    low = 1 if address.network.prefixlen >= address.max_prefixlen - 1 else 3
    return type(address)((int(address.ip) ^ low, address.network.prefixlen))
