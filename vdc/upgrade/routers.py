"""The way by which routers get another BIRD: it is put in place, and takes over by a graceful restart (RFC 4724).

One router at a time, whatever its tier: so never both ToRs of a rack.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from vdc.datacenter.api import DataCenter, Program, Router, SessionState
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, CommandError, WaitTimeout
from vdc.rolling.queue import Node
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

_NOTICED: Final = 60.0  # seconds; without BFD a hold time may have to pass


class Restarting:
    """Gives routers another BIRD. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, path: UpgradePath) -> None:
        self._dc = dc
        self._origin = path.origin
        self._target = path.target

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All routers. Each has a vote, so that no two are ever away together."""
        return tuple(
            Node(name=router.name, rack=router.rack, role=router.tier, votes=True)
            for router in self._dc.topology.routers
        )

    def at(self, node: str) -> str:
        """Return the release whose BIRD a router runs, by its bytes; the same release where both have the same."""
        router = self._dc.routers[node]
        try:
            runs = router.program()
        except CommandError as error:
            return f"no BIRD: {error}"
        wanted = {release: router.program_of(release) for release in (self._origin, self._target)}
        return next((release for release, each in wanted.items() if each == runs), _told(runs))

    def forward(self, node: str) -> tuple[Step, ...]:
        """Put the new BIRD in place, and restart."""
        return self._steps(self._dc.routers[node], self._target)

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with the old one."""
        return self._steps(self._dc.routers[node], self._origin)

    def no_return(self) -> str | None:
        """Return None: what a BIRD knows it learns from its kernel and from its neighbours, and it keeps no file."""
        return None

    def _steps(self, router: Router, release: str) -> tuple[Step, ...]:
        return (
            Step("put BIRD in place", partial(router.give_bird, release), _nothing_to_wait_for),
            Step(
                "restart BIRD", partial(_restart, self._dc, router, release), partial(self._wait_back, router, release)
            ),
        )

    def _wait_back(self, router: Router, release: str) -> None:
        if (runs := router.program()) != router.program_of(release):
            raise ClusterError(f"{router.name}: after the restart it runs {_told(runs)}, not {release}")
        wait_converged(self._dc)


def _nothing_to_wait_for() -> None:
    """`give_bird` returns when it is done, and changes nothing that runs."""


def _restart(dc: DataCenter, router: Router, release: str) -> None:
    """Replace the BIRD that runs, unless it is the right one: killed, for one that shuts down in order says goodbye.

    The new one waits until every neighbour knows. BFD (RFC 5880) finds out later than BGP does: where it did so when
    the session was up again, that would be closed once more, just when the new BIRD has seen no routes yet, and
    believes that there are none; it would take those of its kernel away.
    """
    try:
        if router.program() == router.program_of(release):
            return
    except CommandError:
        pass  # it hangs, or there is none
    router.kill_bird()
    what = f"the neighbours of {router.name} to let go of it"
    wait_for(partial(_let_go, dc, router.name), what=what, timeout=deadline(dc, _NOTICED), interval=0.05)
    router.start_bird()


def _let_go(dc: DataCenter, name: str) -> None:
    """Return if no router beside one believes that it is there; raises NotYet naming those that do."""
    ends = {(s.peer_device, s.local) for s in dc.topology.router(name).sessions if s.peer_device in dc.routers}
    still: list[str] = []
    for other in sorted({device for device, _ in ends}):
        for state in _told_by(dc.routers[other]):
            if (other, state.peer) in ends and (state.bgp == "Established" or state.bfd == "Up"):
                still.append(f"{other}: BGP {state.bgp}, BFD {state.bfd}")
    if still:
        raise NotYet("; ".join(still))


def _told_by(router: Router) -> tuple[SessionState, ...]:
    """Return the sessions of a router, none of one without a BIRD."""
    try:
        return router.sessions()
    except (CommandError, WaitTimeout):
        return ()


def _told(runs: Program) -> str:
    return f"BIRD {runs.version} with the SHA-256 {runs.digest[:12]}…"
