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

from vdc.errors import BuildError, CommandError
from vdc.plan.resources import Bridge, DefaultRoute, Loopback, Namespace, Plug, Tap, Veth
from vdc.shell import run

T = TypeVar("T")

NETNS_DIR = Path("/run/netns")

_BATCH_SECONDS = 120.0

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


def identity(name: str) -> tuple[int, int] | None:
    """Return device and inode of the namespace `name`, which `/proc/PID/ns/net` has too; None if there is none."""
    try:
        found = (NETNS_DIR / name).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def create_namespaces(wanted: Sequence[Namespace]) -> None:
    """Create the namespaces, with their loopback up and forwarding as they want it."""
    _ip_netns("add", [namespace.name for namespace in wanted])
    for namespace in wanted:
        settings = {**_SYSCTLS, "net/ipv4/ip_forward": "1" if namespace.forwarding else "0"}

        def set_up(kernel: Any, settings: Mapping[str, str] = settings) -> None:
            _write_sysctls(settings)
            kernel.link("set", index=1, state="up")

        _with_kernel(namespace.name, set_up)


def remove_namespaces(names: Iterable[str]) -> None:
    """Remove namespaces, and with them every link in them; those that are gone already are fine."""
    _ip_netns("delete", [name for name in names if (NETNS_DIR / name).exists()])


def inside(name: str, action: Callable[[], T]) -> T:
    """Run `action` in the namespace `name`, on a thread of its own: setns(2) is per thread, and ours must not move."""
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            # flags=0: the default would silently create a namespace that is not there
            netns.setns(name, flags=0, fork=False)
            result.append(action())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        if isinstance(failure[0], FileNotFoundError) and not (NETNS_DIR / name).exists():
            raise BuildError(f"namespace:{name}", "is not there") from failure[0]
        if isinstance(failure[0], NetlinkError):
            raise BuildError(f"namespace:{name}", str(failure[0])) from failure[0]
        raise failure[0]
    return result[0]


def create_bridges(bridges: Sequence[Bridge]) -> None:
    """Create bridges, up, without spanning tree and without the delay it would bring."""

    def create(kernel: Any, group: Sequence[Bridge]) -> None:
        for bridge in group:
            with _building(bridge.id):
                kernel.link("add", ifname=bridge.name, kind="bridge", br_stp_state=0, br_forward_delay=0)
                kernel.link("set", index=_index(kernel, bridge.name), state="up")

    _each_namespace(bridges, lambda bridge: bridge.netns, create)


def create_taps(taps: Sequence[Tap]) -> None:
    """Create persistent taps and put them on their bridges, up."""

    def create(kernel: Any, group: Sequence[Tap]) -> None:
        for tap in group:
            with _building(tap.id):
                _persist_tap(tap)
                master = _index(kernel, tap.bridge)
                kernel.link("set", index=_index(kernel, tap.name), master=master, state="up")

    _each_namespace(taps, lambda tap: tap.netns, create)


def create_veths(veths: Sequence[Veth]) -> None:
    """Create veth pairs straight between their namespaces, then give each end its addresses or its bridge."""

    def create(kernel: Any, group: Sequence[Veth]) -> None:
        for veth in group:
            with _building(veth.id), (NETNS_DIR / veth.b.netns).open() as other:
                peer = {"ifname": veth.b.name, "net_ns_fd": other.fileno()}
                kernel.link("add", ifname=veth.a.name, kind="veth", peer=peer)

    def set_up(kernel: Any, group: Sequence[Plug]) -> None:
        indexes = _indexes(kernel)
        for plug in group:
            with _building(f"veth:{plug.netns}/{plug.name}"):
                _set_up(kernel, plug, indexes)

    _each_namespace(veths, lambda veth: veth.a.netns, create)
    plugs = [plug for veth in veths for plug in (veth.a, veth.b)]
    _each_namespace(plugs, lambda plug: plug.netns, set_up)


def _set_up(kernel: Any, plug: Plug, indexes: Mapping[str, int]) -> None:
    index = indexes[plug.name]
    for address in plug.addresses:
        _add_address(kernel, index, address)
    known = {"address": plug.mac} if plug.mac else {}
    master = {"master": indexes[plug.bridge]} if plug.bridge else {}
    kernel.link("set", index=index, state="up", **known, **master)


def add_loopbacks(loopbacks: Sequence[Loopback]) -> None:
    """Put addresses on the loopbacks of namespaces."""

    def add(kernel: Any, group: Sequence[Loopback]) -> None:
        for loopback in group:
            with _building(loopback.id):
                for address in loopback.addresses:
                    _add_address(kernel, 1, address)

    _each_namespace(loopbacks, lambda loopback: loopback.netns, add)


def add_default_routes(routes: Sequence[DefaultRoute]) -> None:
    """Give namespaces a default route over all its gateways."""

    def add(kernel: Any, group: Sequence[DefaultRoute]) -> None:
        for route in group:
            with _building(route.id):
                hops = [{"gateway": hop} for hop in route.gateways]
                kernel.route("add", dst="0.0.0.0/0", **(hops[0] if len(hops) == 1 else {"multipath": hops}))

    _each_namespace(routes, lambda route: route.netns, add)


def set_links(name: str, interfaces: Iterable[str] | None, *, up: bool) -> None:
    """Set interfaces of a namespace (by default all but the loopback) administratively up or down.

    The other end of a veth pair loses or regains its carrier with it.
    """

    def switch(kernel: Any) -> None:
        indexes = _indexes(kernel)
        for interface in interfaces if interfaces is not None else sorted(set(indexes) - {"lo"}):
            kernel.link("set", index=indexes[interface], state="up" if up else "down")

    _with_kernel(name, switch)


def carriers(name: str) -> Mapping[str, bool]:
    """Return, for every interface of a namespace but its loopback, whether it is up and has a carrier."""

    def look(kernel: Any) -> Mapping[str, bool]:
        return {
            link.get("ifname"): link.get("state") == "up" and bool(link.get("carrier"))
            for link in kernel.get_links()
            if link["index"] != 1
        }

    return _with_kernel(name, look)


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


def _ip_netns(verb: str, names: Sequence[str]) -> None:
    """Add or delete named namespaces, all in one process."""
    try:
        run(["ip", "-batch", "-"], stdin="".join(f"netns {verb} {name}\n" for name in names), timeout=_BATCH_SECONDS)
    except CommandError as error:
        raise BuildError(f"namespaces {', '.join(names)}", error.output.strip()) from error


def _each_namespace(
    items: Iterable[T], namespace: Callable[[T], str], action: Callable[[Any, Sequence[T]], None]
) -> None:
    """Call `action` with a netlink socket of each namespace and the items that belong there."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(namespace(item), []).append(item)
    for name, group in groups.items():

        def act(kernel: Any, group: Sequence[T] = group) -> None:
            action(kernel, group)

        _with_kernel(name, act)


def _with_kernel(name: str, action: Callable[[Any], T]) -> T:
    """Call `action` inside a namespace, with a netlink socket of it.

    The socket is opened on the thread that is in the namespace. pyroute2's own way (`netns=`) forks a copy of this
    process for it and ends that by SIGTERM, which a handler of ours would take for its own.
    """

    def work() -> T:
        with IPRoute() as kernel:
            return action(kernel)

    return inside(name, work)


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
