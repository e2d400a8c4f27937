"""Which versions run on the servers of a data centre."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from vdc.datacenter.api import DataCenter, Machine
from vdc.errors import VdcError

_ASKED_AT_ONCE = 4  # servers


def versions(dc: DataCenter) -> Mapping[str, Mapping[str, str]]:
    """Return what runs on each server, by component; servers are asked a few at a time."""
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return dict(zip(dc.servers, pool.map(_versions_of, dc.servers.values()), strict=True))


def _versions_of(machine: Machine) -> Mapping[str, str]:
    """Return what runs on a server, if it answers: the report must be written on bad days too."""
    try:
        return machine.versions()
    except VdcError as error:
        return {"os": f"no answer: {error.message.splitlines()[0]}"}
