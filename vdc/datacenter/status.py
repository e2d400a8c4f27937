"""How a data centre is: every device asked now, nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from vdc.datacenter.api import Power, SessionState, Speaker
from vdc.datacenter.convergence import differences
from vdc.datacenter.live import LiveDataCenter, is_up
from vdc.errors import VdcError
from vdc.model.topology import Bfd, Session, Topology


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
        yield _row(router, router.spec.tier.value, router.spec.sessions, dc.topology, router.power)
    try:
        servers = dc.servers
    except VdcError as error:
        for spec in dc.topology.servers:
            yield Row(name=spec.name, kind="server", state="degraded", detail=error.message)
        return
    for server in servers.values():
        yield _row(server, "server", server.spec.sessions, dc.topology, server.power)


def _row(
    device: Speaker, kind: str, wanted: tuple[Session, ...], topology: Topology, power: Callable[[], Power]
) -> Row:
    try:
        match power():
            case Power.OFF:
                return Row(name=device.name, kind=kind, state="off", detail="powered off")
            case Power.PAUSED:
                return Row(name=device.name, kind=kind, state="degraded", detail="paused, or its kernel panicked")
            case Power.ON:
                pass
        states = {state.peer: state for state in device.sessions()}
    except VdcError as error:
        return Row(name=device.name, kind=kind, state="degraded", detail=error.message.splitlines()[0])
    timers = {session.peer: topology.bfd_of(session) for session in wanted}
    up = sum(1 for peer, bfd in timers.items() if _is_up(states.get(peer), bfd))
    spoken = "BGP and BFD" if any(timers.values()) else "BGP"
    detail = f"{spoken} up with {up} of {len(wanted)} peers" if wanted else "runs"
    return Row(name=device.name, kind=kind, state="up" if up == len(wanted) else "degraded", detail=detail)


def _is_up(state: SessionState | None, bfd: Bfd | None) -> bool:
    return state is not None and state.bgp == "Established" and (bfd is None or state.bfd == "Up")
