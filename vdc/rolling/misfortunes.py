"""A server whose root disk is no more: it runs until it restarts, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vdc.cluster.api import Replaces
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.cluster.kubernetes.timers import timers
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.pace import deadline
from vdc.errors import VdcError
from vdc.wait import NotYet, wait_for

_TOLD_SECONDS: Final = 30.0  # that an API takes to tell what it knows
_SMASHED: Final = 64
"""MiB at the beginning of a root disk: its superblock, its group descriptors, its first inodes."""

SMASH: Final = ("dd", "if=/dev/zero", "of=/dev/vda", "bs=1M", f"count={_SMASHED}", "oflag=direct", "conv=notrunc,fsync")
"""How a server is made to lose its root disk."""


@contextmanager
def without_root(dc: DataCenter, cluster: Replaces, server: str) -> Iterator[None]:
    """Destroy the root disk of a server, in whose place the body puts another; where that fails, it is done after it.

    Raises CommandError, WaitTimeout. Where no other takes its place the data centre is dirty.
    """
    before = dc.servers[server].boot_id()
    smash_root(dc.servers[server])
    try:
        yield
    except BaseException:
        _replace_unless_there(dc, cluster, server, before)
        raise


def wait_missed(kubernetes: KubernetesCluster, node: str) -> None:
    """Wait until the API says that a node is not Ready. Raises WaitTimeout, ClusterError: it does not answer."""

    def missed() -> None:
        if any(each.ready for each in kubernetes.nodes() if each.name == node):
            raise NotYet(f"{node} is still Ready")

    timing = timers(kubernetes.pace)
    limit = timing.node_grace + timing.node_monitor + deadline(kubernetes.dc, _TOLD_SECONDS)
    wait_for(missed, what=f"the API to miss {node}", timeout=limit, interval=1.0)


def smash_root(machine: Machine) -> None:
    """Destroy the root disk beneath a running server: it will not boot again. Raises CommandError, WaitTimeout."""
    machine.run(SMASH, timeout=60.0)


def _replace_unless_there(dc: DataCenter, cluster: Replaces, server: str, before: str) -> None:
    try:
        if _boot(dc.servers[server]) in {"", before}:  # another boot is of another disk
            cluster.replace(server)
    except VdcError:
        dc.mark_dirty(f"{server} has lost its root disk")


def _boot(machine: Machine) -> str:
    """Return the boot ID of a server; empty if it does not answer."""
    try:
        return machine.boot_id()
    except VdcError:
        return ""
