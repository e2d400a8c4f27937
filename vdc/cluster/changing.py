"""Who may change the cluster of a data centre: one process at a time, from its first look to its last word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.host.locks import exclusive

_LOCK: Final = "cluster.lock"
"""In the run directory: locked, and with what its holder does, while a cluster is being changed."""


@contextmanager
def changing(dc: DataCenter, what: str) -> Iterator[None]:
    """Keep other processes from changing the cluster of a data centre. Raises ClusterError: another one does."""
    path = dc.run_directory / _LOCK
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path, wait=False))
        except BlockingIOError as error:
            who = path.read_text(encoding="utf-8").strip() or "another process"
            raise ClusterError(
                f"the cluster of {dc.name} is being changed by {who}", hint="wait until that is done, or end it"
            ) from error
        path.write_text(f"`{what}`, process {os.getpid()}\n", encoding="utf-8")
        try:
            yield
        finally:
            # who comes next may be refused before its holder has said who that is
            with suppress(FileNotFoundError):
                os.truncate(path, 0)
