"""Named network namespaces: made, found, entered and removed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from typing import Final, TypeVar

from pyroute2 import netns

from vdc.errors import BuildError, CommandError
from vdc.host import rtnl
from vdc.host.rtnl import Rtnl
from vdc.plan.resources.network import Namespace
from vdc.shell import run

T = TypeVar("T")

NETNS_DIR: Final = Path("/run/netns")

_BATCH_SECONDS: Final = 120.0
_LOOPBACK: Final = 1

_SYSCTLS: Final = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/fib_multipath_hash_policy": "1",
}
# set before there is a link, so that each has it from its first moment
_IPV6: Final = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",  # none: no link-local address but the plan's
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
    "net/ipv6/conf/default/keep_addr_on_down": "1",  # as IPv4 does; but those local to a link go
    "net/ipv6/fib_multipath_hash_policy": "1",
}
_NO_IPV6: Final = {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"}


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
    by_name = {namespace.name: namespace for namespace in wanted}

    def set_up(name: str) -> None:
        _write_sysctls(_settings(by_name[name]))
        with Rtnl() as kernel:
            kernel.send([rtnl.set_link(_LOOPBACK, up=True, about=f"namespace:{name}")])

    inside_each(by_name, set_up)


def remove_namespaces(names: Iterable[str]) -> None:
    """Remove namespaces, and with them every link in them; those that are gone already are fine."""
    _ip_netns("delete", [name for name in names if (NETNS_DIR / name).exists()])


def inside(name: str, action: Callable[[], T]) -> T:
    """Run `action` in the namespace `name`, on a thread of its own: setns(2) is per thread, and ours must not move."""
    return inside_each([name], lambda _: action())[0]


def inside_each(names: Iterable[str], action: Callable[[str], T]) -> list[T]:
    """Run `action` in one namespace after the other, with its name, all on one thread; return what it returned.

    Raises BuildError: there is no such namespace, or it is half made. What `action` raises ends it.
    """
    results: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for name in names:
                enter(name)
                results.append(action(name))
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return results


@contextmanager
def sockets(names: Iterable[str]) -> Iterator[Mapping[str, Rtnl]]:
    """Offer a netlink socket of each namespace."""
    wanted = list(dict.fromkeys(names))
    opened = dict(zip(wanted, inside_each(wanted, lambda _: Rtnl()), strict=True))
    try:
        yield opened
    finally:
        for each in opened.values():
            each.close()


def enter(name: str) -> None:
    """Move this thread into the namespace `name` for good. Raises BuildError: there is none, or it is half made."""
    try:
        # flags=0: the default would silently create a namespace that is not there
        netns.setns(name, flags=0, fork=False)
    except FileNotFoundError as error:
        raise BuildError(f"namespace:{name}", "is not there") from error
    except OSError as error:
        # setns(2): a file that is no namespace; ip-netns(8) makes the file first and mounts the namespace onto it then
        if error.errno != EINVAL:
            raise
        raise BuildError(f"namespace:{name}", "is half made: what made it was killed") from error


def _settings(namespace: Namespace) -> Mapping[str, str]:
    forwarding = "1" if namespace.forwarding else "0"
    settings = {**_SYSCTLS, "net/ipv4/ip_forward": forwarding}
    if namespace.ipv6:
        return {**settings, **_IPV6, "net/ipv6/conf/all/forwarding": forwarding}
    return {**settings, **_NO_IPV6}


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
