"""Rules of addresses that a file gives: of a routed family, inside their prefix, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vdc.model.checks.base import BUILT_IN, Finding, Survey
from vdc.model.checks.pools import pool, sections
from vdc.model.ip import Address, Interface, Prefix
from vdc.model.spec import InterfaceSpec
from vdc.model.yamltree import Path


def own_addresses(survey: Survey) -> Iterator[Finding]:
    """Loopbacks and node addresses are in their pools, one of each family."""
    for name, override in survey.spec.overrides.items():
        wanted = "node" if name in survey.servers else "loopback"
        yield from _single(survey, ("overrides", name, "addresses"), override.addresses or (), wanted)
    for name, device in survey.spec.devices.items():
        yield from _single(survey, ("devices", name, "loopbacks"), device.loopbacks or (), "loopback")


def _single(survey: Survey, path: Path, addresses: Sequence[Address], wanted: str) -> Iterator[Finding]:
    pools = {found.version: (key, found) for key, each in sections(survey) if (found := pool(each, wanted)) is not None}
    seen: set[int] = set()
    for number, address in enumerate(addresses):
        if address.version not in pools:
            yield _unrouted(survey, (*path, number), address.version)
            continue
        key, prefix = pools[address.version]
        if not _usable(address, prefix):
            message = f"{address} is not an address of the pool {wanted}, {prefix}"
            yield Finding(path=(*path, number), message=message, because=((key, wanted),))
        if address.version in seen:
            message = f"a device has one address of each family here; there is one of IPv{address.version} already"
            yield Finding(path=(*path, number), message=message)
        seen.add(address.version)


def _unrouted(survey: Survey, path: Path, version: int) -> Finding:
    message = f"IPv{version} is not routed: `family` is {survey.spec.family}"
    return Finding(path=path, message=message, because=(("family",),))


def _usable(address: Address, prefix: Prefix) -> bool:
    ends = (prefix.network_address, prefix.broadcast_address) if prefix.num_addresses > 2 else ()
    return address in prefix and address not in ends


def link_addresses(survey: Survey) -> Iterator[Finding]:
    """Both ends of a link are in one prefix of the pool of links, and differ."""
    pools = {found.version: (key, found) for key, each in sections(survey) if (found := pool(each, "link")) is not None}
    for number, link in enumerate(survey.spec.links):
        if link.addresses is None:
            continue
        path: Path = ("links", number, "addresses")
        one, other = link.addresses
        if one.version not in pools:
            yield _unrouted(survey, path, one.version)
            continue
        key, prefix = pools[one.version]
        if one.network != other.network:
            yield Finding(path=path, message=f"{one} and {other} are not of one prefix")
        elif one.ip == other.ip:
            yield Finding(path=path, message=f"both ends are {one}")
        elif unusable := next((each for each in link.addresses if not _usable(each.ip, each.network)), None):
            yield Finding(path=path, message=_outermost(unusable))
        elif not _within(one, prefix):
            message = f"{one.network} is not inside the pool link, {prefix}"
            yield Finding(path=path, message=message, because=((key, "link"),))


def _within(address: Interface, prefix: Prefix) -> bool:
    return (
        address.version == prefix.version
        and address.network.prefixlen >= prefix.prefixlen
        and address.network.network_address in prefix
    )


def interface_addresses(survey: Survey) -> Iterator[Finding]:
    """An interface's addresses are of the prefixes of its network, or of the pool of links."""
    for name, device in survey.spec.devices.items():
        for number, interface in enumerate(device.interfaces):
            path = ("devices", name, "interfaces", number, "addresses")
            yield from _interface(survey, interface, path)


def _interface(survey: Survey, interface: InterfaceSpec, path: Path) -> Iterator[Finding]:
    given = interface.addresses or ()
    if interface.link is not None and given and survey.fabric.links == "unnumbered":
        message = "links have no addresses: `fabric.links` says so"
        yield Finding(path=path, message=message, because=(("fabric", "links"),), at_key=True)
        return
    prefixes = prefixes_of(survey, interface)
    if prefixes is None:
        return
    if interface.link is not None:
        yield from _link_end(interface, path)
    because: tuple[Path, ...] = (("networks",), ("pools",), ("pools6",), (*path[:-1], "network"), (*path[:-1], "link"))
    for number, address in enumerate(given):
        fits = _within if interface.link is not None else _on
        if not any(fits(address, prefix) for prefix in prefixes):
            what = interface.network or "links"
            there = ", ".join(map(str, prefixes)) or "none"
            message = f"{address} is not of the prefixes of {what}: {there}"
            yield Finding(path=(*path, number), message=message, because=because)
        elif not _usable(address.ip, address.network):
            yield Finding(path=(*path, number), message=_outermost(address))


def _link_end(interface: InterfaceSpec, path: Path) -> Iterator[Finding]:
    """An end of a link has one address of each family, in a prefix that the other end's is in, too."""
    if interface.addresses == ():
        message = "a wire has addresses; leave the key out for computed ones"
        yield Finding(path=path, message=message, at_key=True)
    seen: set[int] = set()
    for number, address in enumerate(interface.addresses or ()):
        if address.network.num_addresses == 1:
            message = f"{address} leaves no address for the other end; expected a /{address.max_prefixlen - 1}"
            yield Finding(path=(*path, number), message=message)
        if address.version in seen:
            message = f"an end of a wire has one address of each family; there is one of IPv{address.version} already"
            yield Finding(path=(*path, number), message=message)
        seen.add(address.version)


def _outermost(address: Interface) -> str:
    return f"{address} is the first or last address of its prefix, which no device can have"


def _on(address: Interface, prefix: Prefix) -> bool:
    return address.network == prefix


def prefixes_of(survey: Survey, interface: InterfaceSpec) -> list[Prefix] | None:
    """Return the prefixes of what an interface is plugged into; None if that is wrong itself."""
    if interface.link is not None:
        return [found for _, each in sections(survey) if (found := pool(each, "link")) is not None]
    network = interface.network
    if network is not None and network in survey.spec.networks:
        return list(survey.spec.networks[network].prefixes)
    if network in BUILT_IN:
        return [found for _, each in sections(survey) if (found := pool(each, str(network))) is not None]
    return list(survey.tor_prefixes(str(network))) or None


def different(survey: Survey) -> Iterator[Finding]:
    """No address is given twice."""
    seen: dict[Address, Path] = {}
    for path, address in given(survey):
        if address in seen:
            message = f"duplicate address {address}: {_whose(seen[address])} has it already"
            yield Finding(path=path, message=message, because=(seen[address],))
        seen.setdefault(address, path)


def _whose(path: Path) -> str:
    return f"links[{path[1]}]" if path[0] == "links" else str(path[1])


def given(survey: Survey) -> Iterator[tuple[Path, Address]]:
    """Yield every address that the file gives, with its place."""
    for name, override in survey.spec.overrides.items():
        for number, address in enumerate(override.addresses or ()):
            yield ("overrides", name, "addresses", number), address
    for name, device in survey.spec.devices.items():
        for number, address in enumerate(device.loopbacks or ()):
            yield ("devices", name, "loopbacks", number), address
        for number, interface in enumerate(device.interfaces):
            path = ("devices", name, "interfaces", number, "addresses")
            yield from (((*path, at), each.ip) for at, each in enumerate(interface.addresses or ()))
    for number, link in enumerate(survey.spec.links):
        yield from ((("links", number, "addresses", at), each.ip) for at, each in enumerate(link.addresses or ()))
