"""Namespaces and links, through netlink. The only module that imports pyroute2.

Work is grouped by namespace: one netlink socket each. Nothing is created in the root namespace.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from vdc.errors import BuildError
from vdc.plan.resources import Bridge, DefaultRoute, Loopback, Namespace, Plug, Tap, Veth

T = TypeVar("T")

NETNS_DIR = Path("/run/netns")

# <linux/if_tun.h>
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000

_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/fib_multipath_hash_policy": "1",
}


def namespaces(prefix: str) -> tuple[str, ...]:
    """Return the names of the named namespaces that start with `prefix`."""
    if not NETNS_DIR.is_dir():
        return ()
    return tuple(sorted(path.name for path in NETNS_DIR.iterdir() if path.name.startswith(prefix)))


def inode(name: str) -> int | None:
    """Return the inode of the namespace `name`, which `/proc/PID/ns/net` shows too; None if there is none."""
    try:
        return (NETNS_DIR / name).stat().st_ino
    except FileNotFoundError:
        return None


def create_namespaces(wanted: Sequence[Namespace]) -> None:
    """Create the namespaces, with their loopback up and forwarding as they want it."""
    for namespace in wanted:
        try:
            netns.create(namespace.name)
        except OSError as error:
            raise BuildError(namespace.id, str(error)) from error
        settings = {**_SYSCTLS, "net/ipv4/ip_forward": "1" if namespace.forwarding else "0"}
        inside(namespace.name, lambda settings=settings: _write_sysctls(settings))  # type: ignore[misc]
        with _socket(namespace.name) as kernel:
            kernel.link("set", index=1, state="up")


def remove_namespaces(names: Iterable[str]) -> None:
    """Remove namespaces, and with them every link in them; those that are gone already are fine."""
    for name in names:
        try:
            netns.remove(name)
        except FileNotFoundError:
            continue


def inside(name: str, action: Callable[[], T]) -> T:
    """Run `action` in the namespace `name`, on a thread of its own: setns(2) is per thread, and ours must not move."""
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            netns.setns(name, flags=0)
            result.append(action())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def create_bridges(bridges: Sequence[Bridge]) -> None:
    """Create bridges, up, without spanning tree and without the delay it would bring."""
    for name, group in _grouped(bridges, lambda bridge: bridge.netns).items():
        with _socket(name) as kernel:
            for bridge in group:
                with _building(bridge.id):
                    kernel.link("add", ifname=bridge.name, kind="bridge", br_stp_state=0, br_forward_delay=0)
                    kernel.link("set", index=_index(kernel, bridge.name), state="up")


def create_taps(taps: Sequence[Tap]) -> None:
    """Create persistent taps and put them on their bridges, up."""
    for name, group in _grouped(taps, lambda tap: tap.netns).items():
        inside(name, lambda group=group: _persist_taps(group))  # type: ignore[misc]
        with _socket(name) as kernel:
            for tap in group:
                with _building(tap.id):
                    master = _index(kernel, tap.bridge)
                    kernel.link("set", index=_index(kernel, tap.name), master=master, state="up")


def create_veths(veths: Sequence[Veth]) -> None:
    """Create veth pairs straight between their namespaces, then give each end its addresses or its bridge."""
    for name, group in _grouped(veths, lambda veth: veth.a.netns).items():
        with _socket(name) as kernel:
            for veth in group:
                with _building(veth.id):
                    peer = {"ifname": veth.b.name, "net_ns_fd": veth.b.netns}
                    kernel.link("add", ifname=veth.a.name, kind="veth", peer=peer)
    plugs = [plug for veth in veths for plug in (veth.a, veth.b)]
    for name, ends in _grouped(plugs, lambda plug: plug.netns).items():
        with _socket(name) as kernel:
            indexes = _indexes(kernel)
            for plug in ends:
                with _building(f"veth:{plug.netns}/{plug.name}"):
                    _set_up(kernel, plug, indexes)


def _set_up(kernel: Any, plug: Plug, indexes: Mapping[str, int]) -> None:
    index = indexes[plug.name]
    for address in plug.addresses:
        _add_address(kernel, index, address)
    master = {"master": indexes[plug.bridge]} if plug.bridge else {}
    kernel.link("set", index=index, state="up", **master)


def add_loopbacks(loopbacks: Sequence[Loopback]) -> None:
    """Put addresses on the loopbacks of namespaces."""
    for loopback in loopbacks:
        with _socket(loopback.netns) as kernel, _building(loopback.id):
            for address in loopback.addresses:
                _add_address(kernel, 1, address)


def add_default_routes(routes: Sequence[DefaultRoute]) -> None:
    """Give namespaces a default route over all its gateways."""
    for route in routes:
        with _socket(route.netns) as kernel, _building(route.id):
            if len(route.gateways) == 1:
                kernel.route("add", dst="0.0.0.0/0", gateway=route.gateways[0])
            else:
                kernel.route("add", dst="0.0.0.0/0", multipath=[{"gateway": hop} for hop in route.gateways])


def set_links(name: str, interfaces: Iterable[str] | None, *, up: bool) -> None:
    """Set interfaces of a namespace (by default all but the loopback) administratively up or down.

    The other end of a veth pair loses or regains its carrier with it.
    """
    with _socket(name) as kernel:
        indexes = _indexes(kernel)
        for interface in interfaces if interfaces is not None else sorted(set(indexes) - {"lo"}):
            kernel.link("set", index=indexes[interface], state="up" if up else "down")


def carriers(name: str) -> Mapping[str, bool]:
    """Return, for every interface of a namespace but its loopback, whether it is up and has a carrier."""
    with _socket(name) as kernel:
        return {
            link.get("ifname"): link.get("state") == "up" and bool(link.get("carrier"))
            for link in kernel.get_links()
            if link["index"] != 1
        }


def _persist_taps(taps: Iterable[Tap]) -> None:
    for tap in taps:
        _persist_tap(tap)


def _persist_tap(tap: Tap) -> None:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", tap.name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(handle, _TUNSETIFF, request)
        fcntl.ioctl(handle, _TUNSETPERSIST, 1)
    except OSError as error:
        raise BuildError(tap.id, str(error)) from error
    finally:
        os.close(handle)


def _write_sysctls(settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        path = Path("/proc/sys") / name
        # a kernel without IPv6 has nothing to switch off
        if path.exists():
            path.write_text(value)


@contextmanager
def _socket(name: str) -> Iterator[Any]:
    # flags=0: the default would silently create a namespace that is not there
    with IPRoute(netns=name, flags=0) as kernel:
        yield kernel


@contextmanager
def _building(resource: str) -> Iterator[None]:
    try:
        yield
    except (NetlinkError, KeyError) as error:
        raise BuildError(resource, str(error)) from error


def _add_address(kernel: Any, index: int, address: str) -> None:
    host, _, length = address.partition("/")
    kernel.addr("add", index=index, address=host, prefixlen=int(length))


def _index(kernel: Any, name: str) -> int:
    found = kernel.link_lookup(ifname=name)
    if not found:
        raise KeyError(f"no interface {name}")
    return int(found[0])


def _indexes(kernel: Any) -> dict[str, int]:
    return {link.get("ifname"): int(link["index"]) for link in kernel.get_links()}


def _grouped(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
