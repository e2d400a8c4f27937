"""How devices see one another: what `bites` and `healed` of faults ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vdc.datacenter.api import DataCenter, Power, device_of
from vdc.datacenter.convergence import sessions_of
from vdc.errors import CommandError, VdcError
from vdc.model.topology import Session
from vdc.wait import NotYet


def neighbours_lost(dc: DataCenter, devices: Iterable[str]) -> None:
    """Return if every router next to `devices`, and not one of them, has lost its session with them.

    One that tells nothing, for another fault may have silenced it, is no witness. Raises NotYet naming those that have
    not, or that none tells, and AssertionError if there is no such router: nobody would notice.
    """
    gone = frozenset(devices)
    watched = tuple(_towards(dc, gone))
    assert watched, f"no router has a session with {', '.join(sorted(gone))}"
    _expect(dc, _told(dc, watched), established=False)


def neighbours_back(dc: DataCenter, devices: Iterable[str]) -> None:
    """Return if every living router next to `devices` has its session with them; raises NotYet otherwise.

    One that tells nothing, for another fault may have silenced it, counts as dead; but not all of them.
    """
    back = frozenset(devices)
    beside = tuple(_towards(dc, back))
    telling = _told(dc, beside) if beside else ()
    silent = {session.device for session in beside} - {session.device for session in telling}
    within = (s for name in back if name in dc.routers for s in dc.topology.router(name).sessions)
    living = (s for s in within if s.peer_device not in silent and _runs(dc, s.peer_device))
    _expect(dc, (*telling, *living), established=True)


def nobody_beside(dc: DataCenter, routers: tuple[str, ...]) -> str | None:
    """Return why nobody could prove what happens to these routers, or None."""
    for name in routers:
        if name not in dc.routers:
            return f"there is no router {name}"
        if not any(each.peer_device in dc.routers for each in dc.topology.router(name).sessions):
            return f"no router has a session with {name}"
    beside = {each.peer_device for name in routers for each in dc.topology.router(name).sessions}
    if not beside & set(dc.routers) - set(routers):
        return f"no other router has a session with {', '.join(routers)}"
    return None


def session_lost(dc: DataCenter, session: Session) -> None:
    """Return if the device does not have this session Established; raises NotYet otherwise."""
    _expect(dc, (session,), established=False)


def session_back(dc: DataCenter, session: Session) -> None:
    """Return if the device has this session Established; raises NotYet otherwise."""
    _expect(dc, (session,), established=True)


def reverse(dc: DataCenter, session: Session) -> Session:
    """Return the same session as the peer sees it."""
    for other in sessions_of(dc, session.peer_device):
        if other.peer == session.local:
            return other
    raise KeyError(f"{session.peer_device} has no session with {session.device}")


def silent(dc: DataCenter, server: str) -> None:
    """Return if the guest agent of a server no longer answers; raises NotYet if it does."""
    try:
        dc.servers[server].run(["true"], timeout=5.0)
    except VdcError:
        return
    raise NotYet(f"{server} still answers")


def expect_power(dc: DataCenter, device: str, power: Power) -> None:
    """Return if the device has this power state; raises NotYet otherwise."""
    now = device_of(dc, device).power()
    if now is not power:
        raise NotYet(f"{device} is {now}, expected {power}")


def _towards(dc: DataCenter, devices: frozenset[str]) -> Iterator[Session]:
    for router in dc.topology.routers:
        if router.name not in devices and _runs(dc, router.name):
            yield from (session for session in router.sessions if session.peer_device in devices)


def _told(dc: DataCenter, sessions: Sequence[Session]) -> tuple[Session, ...]:
    """Return those whose device tells how they are. Raises NotYet: none does."""
    silent: dict[str, str] = {}
    for name in {session.device for session in sessions}:
        try:
            device_of(dc, name).sessions()
        except CommandError as error:
            silent[name] = error.message
    told = tuple(session for session in sessions if session.device not in silent)
    if not told:
        raise NotYet("; ".join(f"{name} does not tell: {why}" for name, why in sorted(silent.items())))
    return told


def _runs(dc: DataCenter, device: str) -> bool:
    return device_of(dc, device).power() is Power.ON


def _expect(dc: DataCenter, sessions: Iterable[Session], *, established: bool) -> None:
    state = "not" if established else "still"
    wrong = [
        f"{session.device}: session with {session.peer_device} is {state} Established"
        for session in sessions
        if _established(dc, session) is not established
    ]
    if wrong:
        raise NotYet("; ".join(wrong))


def _established(dc: DataCenter, session: Session) -> bool:
    try:
        states = device_of(dc, session.device).sessions()
    except CommandError as error:  # another fault may have silenced it
        raise NotYet(f"{session.device} does not tell: {error.message}") from error
    return any(state.peer == session.peer and state.bgp == "Established" for state in states)
