"""`/etc/hosts` of guests: made when their config disks are written; a plan that had it for each would not scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vdc.model.topology import Server, Topology
from vdc.plan.render import render

HOSTS: Final = "/etc/hosts"

MOST: Final = 128 << 10
"""The longest text, in bytes, of a file that names all servers: a config disk has twice as much for all its files."""


def hosts(topology: Topology) -> Mapping[str, str]:
    """Return `/etc/hosts` of each server: all servers or, where that text would be longer than `MOST`, its rack's."""
    everyone = _text(topology.servers)
    if len(everyone.encode()) <= MOST:
        return {server.name: everyone for server in topology.servers}
    racks: dict[int | None, list[Server]] = {}
    for server in topology.servers:
        racks.setdefault(server.rack, []).append(server)
    return {server.name: text for members in racks.values() for text in (_text(members),) for server in members}


def _text(servers: Sequence[Server]) -> str:
    return render("guest-hosts.j2", servers=servers)
