"""Access to the internet: addresses are translated in a namespace of the data centre, and once more outside.

Outside, in the host's own namespace or the one that the topology names, are one end of a cable with one address, and
one nftables table with the name of the data centre's namespace, which lets that address out. Where the host forwards
no packets, two of its interfaces begin to, and the table sees to it that they forward nothing else. All of it goes
with `remove`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from vdc.errors import BuildError, CommandError
from vdc.host import claims
from vdc.host.namespaces import NETNS_DIR
from vdc.plan.internet import HOST_INTERFACE
from vdc.plan.resources.network import Nat
from vdc.shell import in_namespace, run

_SECONDS: Final = 30.0
_GUARDED: Final = "guarded"
"""The set in a table of the interfaces that forward packets on behalf of data centres only."""


def build(nats: Sequence[Nat]) -> None:
    """Connect data centres with the outside. Raises BuildError: naming the resource and the reason."""
    for nat in nats:
        try:
            _ip(nat.netns, _cable(nat))
            _ip(nat.outside, _cable_outside(nat))
            _ip(nat.netns, _inner_routes(nat))
            _nft(nat.netns, inner_rules(nat))
            with claims.locked():
                ways = tuple(_ways_out(nat))
                guarded = tuple(way for way in ways if _needs_guard(nat, way))
                # the table first: what a SIGKILL leaves forwards nothing that it should not, and is found by its name
                _nft(nat.outside, outer_rules(nat, guarded))
                for interface in (nat.host_interface, *guarded):
                    _forward(nat.outside, interface, "1")
        except CommandError as error:
            raise BuildError(nat.id, error.output.strip()) from error


def remove(nat: Nat) -> None:
    """Remove everything outside, as far as it is there."""
    remove_outside(nat.table, nat.host_interface, nat.outside)


def remove_outside(table: str, interface: str, outside: str | None) -> None:
    """Remove a table and an interface from the namespace `outside`, or the host's own, as far as they are there."""
    if outside is not None and not (NETNS_DIR / outside).exists():
        return
    with claims.locked():
        for way in _guards(outside).get(table, ()):
            if not _is_guarded(way, outside, but=table):
                _forward(outside, way, "0")
        _run(outside, ["nft", "delete", "table", "inet", table], check=False)
    _run(outside, ["ip", "link", "delete", interface], check=False)


def inner_rules(nat: Nat) -> Iterator[str]:
    """Yield the commands for `nft -f` in the data centre's namespace: sources go out, answers come in, nothing else."""
    sources = ", ".join((*nat.sources, nat.border))
    yield f"add table ip {nat.table}"
    yield f"add chain ip {nat.table} forward {{ type filter hook forward priority filter; policy drop; }}"
    yield f"add rule ip {nat.table} forward ct state established,related accept"
    yield f'add rule ip {nat.table} forward iifname "{nat.inside}" ip saddr {{ {sources} }} accept'
    yield f"add chain ip {nat.table} out {{ type nat hook postrouting priority srcnat; }}"
    yield f'add rule ip {nat.table} out oifname "{nat.uplink}" masquerade'


def outer_rules(nat: Nat, guarded: Sequence[str]) -> Iterator[str]:
    """Yield the commands for `nft -f` outside; `guarded` interfaces forward for data centres only."""
    table, source = f"inet {nat.table}", nat.address.partition("/")[0]
    yield f"add table {table}"
    yield f"add chain {table} out {{ type nat hook postrouting priority srcnat; }}"
    yield f'add rule {table} out ip saddr {source} oifname != "{HOST_INTERFACE}*" masquerade'
    if guarded:
        yield f"add set {table} {_GUARDED} {{ type ifname; }}"
        yield f"add element {table} {_GUARDED} {{ {', '.join(guarded)} }}"
        yield f"add chain {table} forward {{ type filter hook forward priority filter; }}"
        yield f'add rule {table} forward iifname @{_GUARDED} oifname != "{HOST_INTERFACE}*" drop'


def _cable(nat: Nat) -> Iterator[str]:
    # the process is in the host's own namespace, whatever the namespaces its threads are in
    where = os.getpid() if nat.outside is None else nat.outside
    peer = f"peer name {nat.host_interface} mtu {nat.mtu} netns {where}"
    yield f"link add {nat.uplink} mtu {nat.mtu} type veth {peer}"
    yield f"addr add {nat.address} dev {nat.uplink}"
    yield f"link set {nat.uplink} up"


def _cable_outside(nat: Nat) -> Iterator[str]:
    yield f"addr add {nat.host_address} dev {nat.host_interface}"
    yield f"link set {nat.host_interface} up"


def _inner_routes(nat: Nat) -> Iterator[str]:
    yield f"route add default via {nat.host_address.partition('/')[0]}"
    for source in nat.sources:
        yield f"route add {source} via {nat.border}"


def _ways_out(nat: Nat) -> Iterator[str]:
    """Yield the interfaces outside that lead to the internet. Raises BuildError: none does."""
    found = json.loads(_run(nat.outside, ["ip", "-j", "-4", "route", "show", "default"]) or "[]")
    ways = {hop["dev"] for route in found for hop in route.get("nexthops", [route]) if "dev" in hop}
    if not ways:
        where = nat.outside or "the host"
        raise BuildError(nat.id, f"{where} has no default route, so there is no way to the internet")
    yield from sorted(ways)


def _needs_guard(nat: Nat, interface: str) -> bool:
    """Return whether an interface forwards nothing, or nothing but for other data centres."""
    return not _forwards(nat.outside, interface) or _is_guarded(interface, nat.outside, but=nat.table)


def _is_guarded(interface: str, outside: str | None, *, but: str) -> bool:
    """Return whether another data centre than that of the table `but` has made an interface forward."""
    return any(interface in guards for table, guards in _guards(outside).items() if table != but)


def _guards(netns: str | None) -> dict[str, tuple[str, ...]]:
    """Return the interfaces that each data centre has made forward, by its table."""
    listed = json.loads(_run(netns, ["nft", "-j", "list", "sets", "inet"]))["nftables"]
    sets = (item["set"] for item in listed if "set" in item)
    return {each["table"]: tuple(each.get("elem", ())) for each in sets if each["name"] == _GUARDED}


def _forwards(netns: str | None, interface: str) -> bool:
    return _run(netns, ["cat", _switch(interface)]).strip() == "1"


def _forward(netns: str | None, interface: str, value: str) -> None:
    _run(netns, ["tee", _switch(interface)], stdin=value)


def _switch(interface: str) -> str:
    return f"/proc/sys/net/ipv4/conf/{interface}/forwarding"


def _ip(netns: str | None, lines: Iterable[str]) -> None:
    _run(netns, ["ip", "-batch", "-"], stdin="".join(f"{line}\n" for line in lines))


def _nft(netns: str | None, lines: Iterable[str]) -> None:
    _run(netns, ["nft", "-f", "-"], stdin="".join(f"{line}\n" for line in lines))


def _run(netns: str | None, argv: Sequence[str], *, stdin: str | None = None, check: bool = True) -> str:
    """Run a command in a namespace, or in the host's own if that is None; return what it wrote."""
    command = argv if netns is None else in_namespace(netns, argv)
    return run(command, timeout=_SECONDS, stdin=stdin, check=check).stdout
