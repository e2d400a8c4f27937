"""How a data centre is: every device asked now, nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from vdc.datacenter.api import Power, SessionState, Speaker
from vdc.datacenter.convergence import differences
from vdc.datacenter.live import LiveDataCenter, is_up
from vdc.errors import VdcError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A device: its kind (a router's tier, "server"), "up", "degraded" or "off", and what there is to say of it."""

    name: str
    kind: str
    state: Literal["up", "degraded", "off"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A data centre: "up" if all is as the topology says, "down" if it never came up, else "degraded", and why."""

    name: str
    topology: str
    state: Literal["up", "degraded", "down"]
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]


def status(dc: LiveDataCenter) -> Status:
    """Ask every device of a data centre how it is."""
    rows = tuple(_rows(dc))
    if not is_up(dc.run_directory):
        state: Literal["up", "degraded", "down"] = "down"
        reasons: tuple[str, ...] = ("it never came up, or is being built or taken down",)
    else:
        reasons = tuple(_reasons(dc, rows))
        state = "degraded" if reasons else "up"
    return Status(name=dc.name, topology=dc.topology.name, state=state, reasons=reasons, rows=rows)


def _reasons(dc: LiveDataCenter, rows: tuple[Row, ...]) -> Iterator[str]:
    if (dirty := dc.dirty()) is not None:
        yield f"dirty: {dirty}"
    ill = [row for row in rows if row.state != "up"]
    yield from (f"{row.name}: {row.detail}" for row in ill)
    if not ill:
        yield from differences(dc)


def _rows(dc: LiveDataCenter) -> Iterator[Row]:
    for router in dc.routers.values():
        yield _row(router, router.spec.tier.value, len(router.spec.sessions), router.power)
    try:
        servers = dc.servers
    except VdcError as error:
        for spec in dc.topology.servers:
            yield Row(name=spec.name, kind="server", state="degraded", detail=error.message)
        return
    for server in servers.values():
        yield _row(server, "server", len(server.spec.sessions), server.power)


def _row(device: Speaker, kind: str, expected: int, power: Callable[[], Power]) -> Row:
    try:
        if power() is Power.OFF:
            return Row(name=device.name, kind=kind, state="off", detail="powered off")
        sessions = device.sessions()
    except VdcError as error:
        return Row(name=device.name, kind=kind, state="degraded", detail=error.message.splitlines()[0])
    up = sum(1 for session in sessions if _is_up(session))
    detail = f"BGP and BFD up with {up} of {expected} peers"
    return Row(name=device.name, kind=kind, state="up" if up == expected else "degraded", detail=detail)


def _is_up(session: SessionState) -> bool:
    return session.bgp == "Established" and session.bfd == "Up"
