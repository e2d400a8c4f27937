"""Links, addresses and routes of namespaces, through netlink. Nothing is created in the root namespace.

Work is grouped by namespace: a socket each, over which all goes at once.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from errno import EEXIST, ENODEV
from ipaddress import ip_address
from itertools import chain
from typing import Any, Final, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vdc.errors import BuildError
from vdc.host import rtnl
from vdc.host.namespaces import (
    NETNS_DIR,
    create_namespaces,
    identity,
    inside,
    inside_each,
    namespaces,
    remove_namespaces,
    sockets,
)
from vdc.host.rtnl import RefusedError, Request, Rtnl, VethEnd
from vdc.plan.resources.network import Bridge, DefaultRoute, Loopback, Plug, Tap, Veth

__all__ = ["NETNS_DIR", "create_namespaces", "identity", "inside", "namespaces", "remove_namespaces"]

T = TypeVar("T")

_LOOPBACK: Final = 1
_OPEN_AT_ONCE: Final = 256

# <linux/if_tun.h>
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TAP = 0x0002
_IFF_MULTI_QUEUE = 0x0100
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000

_DEFAULTS: Final[Mapping[int, str]] = {4: "0.0.0.0/0", 6: "::/0"}


def create_bridges(bridges: Sequence[Bridge]) -> None:
    """Create bridges, up."""
    groups = _by(bridges, lambda bridge: bridge.netns)
    with sockets(groups) as kernels:
        for name, group in groups.items():
            kernels[name].send(rtnl.new_bridge(each.name, mtu=each.mtu, about=each.id) for each in group)


def create_taps(taps: Sequence[Tap]) -> None:
    """Create persistent taps and put them on their bridges, up."""
    groups = _by(taps, lambda tap: tap.netns)

    def create(name: str) -> None:
        for tap in groups[name]:
            _persist_tap(tap)
        with Rtnl() as kernel:
            indexes = _indexes(kernel)
            kernel.send(
                rtnl.set_link(tap.name, up=True, mtu=tap.mtu, master=_index(indexes, tap.bridge, tap.id), about=tap.id)
                for tap in groups[name]
            )

    inside_each(groups, create)


def create_veths(veths: Sequence[Veth]) -> None:
    """Create veth pairs straight between their namespaces, then give each end its addresses or its bridge.

    Ends that only have each other know each other's MAC for good: the kernel limits how many neighbours of all its
    namespaces it learns (arp(7), `gc_thresh3`), which is less than a fabric has, but not how many it is told.
    """
    groups = _by(veths, lambda veth: veth.a.netns)
    ends = _by(_ends(veths), lambda end: end[0].netns)
    with sockets(chain(groups, ends)) as kernels:
        for name, group in groups.items():
            for first in range(0, len(group), _OPEN_AT_ONCE):
                _connect(kernels[name], group[first : first + _OPEN_AT_ONCE])
        for name, pairs in ends.items():
            indexes = _indexes(kernels[name])
            kernels[name].send(chain.from_iterable(_equip(near, far, indexes) for near, far in pairs))


def add_loopbacks(loopbacks: Sequence[Loopback]) -> None:
    """Put addresses on the loopbacks of namespaces."""
    with sockets(each.netns for each in loopbacks) as kernels:
        for each in loopbacks:
            kernels[each.netns].send(rtnl.new_address(_LOOPBACK, text, about=each.id) for text in each.addresses)


def add_default_routes(routes: Sequence[DefaultRoute]) -> None:
    """Give namespaces a default route over all its gateways."""
    _default_routes("add", routes)


def replace_default_routes(routes: Sequence[DefaultRoute]) -> None:
    """Let default routes lead over their gateways, and no others, from one packet to the next."""
    _default_routes("replace", routes)


def set_links(name: str, interfaces: Iterable[str] | None, *, up: bool) -> None:
    """Set interfaces of a namespace (by default all but the loopback) administratively up or down.

    The other end of a veth pair loses or regains its carrier with it.
    """
    with sockets([name]) as kernels:
        wanted = sorted({*kernels[name].links()} - {"lo"}) if interfaces is None else interfaces
        kernels[name].send(rtnl.set_link(each, up=up, about=f"{name}/{each}") for each in wanted)


def restore_addresses(name: str, addresses: Mapping[str, str]) -> None:
    """Give interfaces of a namespace back the address (CIDR) that they lost; those that have it still are fine."""
    with sockets([name]) as kernels:
        indexes = _indexes(kernels[name])
        for each, address in addresses.items():
            try:
                kernels[name].send([rtnl.new_address(indexes[each], address, about=f"{name}/{each}")])
            except RefusedError as error:
                if error.errno != EEXIST:
                    raise


def set_mtus(name: str, mtus: Mapping[str, int]) -> None:
    """Give interfaces of a namespace other MTUs, in bytes, while they are up."""
    with sockets([name]) as kernels:
        kernels[name].send(rtnl.set_link(each, mtu=mtu, about=f"{name}/{each}") for each, mtu in mtus.items())


def remove_links(name: str, interfaces: Iterable[str]) -> None:
    """Delete interfaces of a namespace, with the other ends of their veth pairs; those gone already are fine."""
    with sockets([name]) as kernels:
        for each in interfaces:
            try:
                kernels[name].send([rtnl.remove_link(each, about=f"{name}/{each}")])
            except RefusedError as error:
                if error.errno != ENODEV:
                    raise


def carriers(name: str) -> Mapping[str, bool]:
    """Return, for every interface of a namespace but its loopback, whether it is up and has a carrier."""
    with sockets([name]) as kernels:
        links = kernels[name].links()
    return {each: link.up and link.carrier for each, link in links.items() if link.index != _LOOPBACK}


def carrier_changes(name: str, interface: str) -> int:
    """Return how often an interface of a namespace has got or lost its carrier. Raises KeyError: there is none."""
    with sockets([name]) as kernels:
        return kernels[name].links()[interface].changes


def _ends(veths: Iterable[Veth]) -> Iterable[tuple[Plug, Plug]]:
    """Yield each end with the other."""
    for veth in veths:
        yield veth.a, veth.b
        yield veth.b, veth.a


def _connect(kernel: Rtnl, veths: Sequence[Veth]) -> None:
    """Make pairs whose end `a` is in the namespace of `kernel`."""
    with ExitStack() as stack:
        far = {name: stack.enter_context(_netns(name)) for name in dict.fromkeys(veth.b.netns for veth in veths)}
        kernel.send(
            rtnl.new_veth(_veth_end(veth.a), _veth_end(veth.b), far_netns=far[veth.b.netns].fileno(), about=veth.id)
            for veth in veths
        )


def _equip(near: Plug, far: Plug, indexes: Mapping[str, int]) -> Iterable[Request]:
    """Yield what makes the end of a pair what it must be."""
    about = f"veth:{near.netns}/{near.name}"
    index = _index(indexes, near.name, about)
    for address in _addresses(near):
        yield rtnl.new_address(index, address, about=about)
    yield rtnl.set_link(
        index, up=True, master=_index(indexes, near.bridge, about) if near.bridge else None, about=about
    )
    if not near.bridge and far.mac:
        for address in _addresses(far):
            yield rtnl.new_neighbour(index, address.partition("/")[0], far.mac, about=about)


def _addresses(plug: Plug) -> tuple[str, ...]:
    return (*plug.addresses, plug.link_local) if plug.link_local else plug.addresses


def _veth_end(plug: Plug) -> VethEnd:
    return VethEnd(plug.name, plug.mac, plug.mtu)


def _netns(name: str) -> Any:
    try:
        return (NETNS_DIR / name).open("rb")
    except FileNotFoundError as error:
        raise BuildError(f"namespace:{name}", "is not there") from error


def _persist_tap(tap: Tap) -> None:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if tap.queues > 1 else 0)
    try:
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", tap.name.encode(), flags))
        fcntl.ioctl(handle, _TUNSETPERSIST, 1)
    except OSError as error:
        raise BuildError(tap.id, str(error)) from error
    finally:
        os.close(handle)


def _default_routes(verb: str, routes: Sequence[DefaultRoute]) -> None:
    groups = _by(routes, lambda route: route.netns)

    def write(name: str) -> None:
        # opened on the thread that is in the namespace: pyroute2's own way (`netns=`) forks a copy of this process
        # for it and ends that by SIGTERM, which a handler of ours would take for its own
        with IPRoute() as kernel:
            for route in groups[name]:
                try:
                    _default_route(kernel, verb, route)
                except NetlinkError as error:
                    raise BuildError(route.id, str(error)) from error

    inside_each(groups, write)


def _default_route(kernel: Any, verb: str, route: DefaultRoute) -> None:
    for version, group in _by(route.gateways, lambda gateway: ip_address(gateway).version).items():
        hops = [{"gateway": hop} for hop in group]
        kernel.route(verb, dst=_DEFAULTS[version], **(hops[0] if len(hops) == 1 else {"multipath": hops}))


def _by(items: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _indexes(kernel: Rtnl) -> Mapping[str, int]:
    return {name: link.index for name, link in kernel.links().items()}


def _index(indexes: Mapping[str, int], name: str, about: str) -> int:
    if name not in indexes:
        raise BuildError(about, f"there is no interface {name}")
    return indexes[name]
