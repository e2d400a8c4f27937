"""What servers are told that have stood still: their clocks stopped, and their neighbours have given them up."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from vdc.datacenter.machine import LiveMachine
from vdc.plan.identity import waking_script

_WORKERS: Final = 4
_ENTROPY_BYTES: Final = 64


def tell(servers: Iterable[LiveMachine]) -> None:
    """Tell servers that go on what time it is, and that their neighbours have forgotten them, all at once.

    One that goes on with a BFD session which the other end has begun anew speaks of the one before, and is not heard:
    for some seconds the two take turns in giving each other up (RFC 5880, section 6.8.6, Your Discriminator).

    Raises CommandError, WaitTimeout: one does not listen.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(_tell, (server for server in servers if server.spec.managed)))


def fresh_entropy() -> bytes:
    """Return what a guest that has just woken mixes into its random pool."""
    return secrets.token_bytes(_ENTROPY_BYTES)


def _tell(server: LiveMachine) -> None:
    server.run_first(lambda: waking_script(server.spec, now=time.time(), entropy=fresh_entropy()))
