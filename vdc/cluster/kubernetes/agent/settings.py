"""What an agent is told: a JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where an agent runs: `addresses` are the node's own, `domain` is that of the cluster's DNS.

    `host` and `port` lead to an API server; `authority`, `certificate` and `key` are paths of PEM files.
    `slices` is the API version that EndpointSlices have. With `allocates` it gives services addresses out of `pools`
    that are not `taken`. All `*_seconds` are scaled for a slow host already.
    """

    node: str
    addresses: tuple[IPv4Address, ...]
    domain: str
    host: str
    port: int
    authority: Path
    certificate: Path
    key: Path
    slices: str
    hosts: Path
    """What it writes for dnsmasq: lines as in hosts(5)."""
    dns_processes: Path
    """Where the kernel lists the processes of dnsmasq's unit: a `cgroup.procs`."""
    services: Path
    """What it writes for BIRD."""
    bird: Path
    """The control socket of BIRD."""
    proxy: str
    """How kube-proxy works: `iptables` or `ipvs`."""
    pools: tuple[IPv4Network, ...] = ()
    taken: frozenset[IPv4Address] = frozenset()
    allocates: bool = False
    answer_seconds: float = 10.0
    """How long an API server may take to answer."""
    lease_seconds: float = 15.0
    """How long an allocator that says nothing is taken for alive (client-go's default)."""
    settle_seconds: float = 0.1
    """How long further changes are waited for before one is acted upon."""


def load(path: Path) -> Settings:
    """Read a file. Raises OSError, ValueError, KeyError, TypeError: it is not there, or not as it should be."""
    said: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    read: Mapping[str, Any] = {name: _READERS.get(name, _as_it_is)(value) for name, value in said.items()}
    return Settings(**read)


def _as_it_is(value: object) -> object:
    return value


_READERS: Mapping[str, Callable[[Any], object]] = {
    "addresses": lambda value: tuple(map(IPv4Address, value)),
    "pools": lambda value: tuple(map(IPv4Network, value)),
    "taken": lambda value: frozenset(map(IPv4Address, value)),
    **dict.fromkeys(("authority", "certificate", "key", "hosts", "dns_processes", "services", "bird"), Path),
}
