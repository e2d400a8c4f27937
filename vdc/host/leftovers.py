"""What faults leave on the host if nobody undoes them: tables of nftables, taps, queues, and processes."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from vdc.host import namespaces, packet_relay, processes
from vdc.host.rtnl import Rtnl, attributes

TABLES: Final = ("vdc-fault-", "vdc-drop-")
"""What the names of tables of faults begin with; then follows the key of the fault."""

_TAPS: Final = "vf"
_PROCESSES: Final = (packet_relay.__file__, "vdc.host.keeper", "vdc.faults.lease")
_OWN_QUEUES: Final = frozenset({"noqueue", "pfifo_fast", "fq_codel", "mq", "pfifo", "fq"})
"""What the kernel gives an interface by itself (tc(8))."""

# linux/netlink.h, linux/netfilter/nf_tables.h, linux/rtnetlink.h
_NETFILTER: Final = 12
_GETTABLE, _TABLE_NAME, _NFGENMSG = (10 << 8) | 1, 1, struct.pack("=BBH", 0, 0, 0)
_GETQDISC, _TCA_KIND = 38, 1
_TCMSG: Final = struct.Struct("=BxxxiIII")


def leftovers(names: Collection[str], queued: Collection[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Return what faults have left in network namespaces, each with its place.

    `queued` are the interfaces, each with its namespace, that have a queue of the topology's.
    """
    found = namespaces.inside_each(names, lambda name: [*_tables(name), *_links(name, queued)])
    return (*(each for some in found for each in some), *_processes(names))


def _tables(netns: str) -> Iterator[str]:
    with Rtnl(_NETFILTER) as kernel:
        for reply in kernel.dump(_GETTABLE, _NFGENMSG):
            name = dict(attributes(reply, len(_NFGENMSG)))[_TABLE_NAME].rstrip(b"\0").decode()
            if name.startswith(TABLES):
                yield f"{netns}: nftables table {name}"


def _links(netns: str, queued: Collection[tuple[str, str]]) -> Iterator[str]:
    with Rtnl() as kernel:
        names = {link.index: name for name, link in kernel.links().items()}
        yield from (f"{netns}: tap {name}" for name in names.values() if name.startswith(_TAPS))
        for reply in kernel.dump(_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0)):
            kind = dict(attributes(reply, _TCMSG.size))[_TCA_KIND].rstrip(b"\0").decode()
            interface = names.get(_TCMSG.unpack_from(reply)[1], "?")
            if kind not in _OWN_QUEUES and (netns, interface) not in queued:
                yield f"{netns}: queue {kind} of {interface}"


def _processes(names: Collection[str]) -> Iterator[str]:
    identities = {found for name in names if (found := namespaces.identity(name)) is not None}
    for pid in processes.living(identities):
        words = _command(pid)
        if any(word in _PROCESSES for word in words):
            yield f"process {pid}: {' '.join(words[1:6])}"


def _command(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
