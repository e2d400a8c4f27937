"""A rolling reboot: servers leave and come back in turn, as the queue lets them, each step waiting for facts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.datacenter.pace import budget, deadline
from vdc.errors import ClusterError, CommandError, InputError, VdcError, WaitTimeout
from vdc.faults.sight import neighbours_back
from vdc.rolling.boots import remember
from vdc.rolling.history import BACK, HELD
from vdc.rolling.queue import STOPS, Limits, Queue, nodes_of
from vdc.wait import NotYet, wait_for

Turn = Iterator[str]
"""What a node does in its turn: goes on when asked for the next, and says what it waits for."""

ONE_BY_ONE: Final = Limits()

_BOOT_SECONDS: Final = 150.0
_SERVE_SECONDS: Final = 240.0  # a control plane that boots on an emulated host takes half of it
_INTERVAL: Final = 0.25
_SELDOM: Final = 1.0  # what costs an emulated API server time is asked no more often


class How(StrEnum):
    """How a server restarts."""

    GRACEFULLY = "gracefully"
    BY_POWER = "by power"


class HeldUpError(ClusterError):
    """A node may not go now; nothing was done to it."""


class Drain(Protocol):
    """Takes a node out of use before it goes."""

    def drain(self, name: str) -> Turn:
        """Take it out of use. Raises HeldUpError: it may not go; it is in use as before."""

    def use(self, name: str) -> Turn:
        """Take it into use again. Raises WaitTimeout."""


def roll(  # noqa: PLR0913 - whom, within which limits, how, and who hears of it
    dc: DataCenter,
    cluster: Cluster,
    *,
    limits: Limits = ONE_BY_ONE,
    how: How = How.GRACEFULLY,
    drain: Drain | None = None,
    servers: Collection[str] | None = None,
    held: Callable[[str], object] = str,
) -> None:
    """Restart all servers that a cluster is deployed on, or these, through a queue; `held` hears why each is held up.

    The history tells when each goes (`start`), is back, is held up or fails, and why. Times of `limits` are as on a
    host whose slowness is 1.0.

    Raises:
        InputError: none is to restart, or one that there is not; nothing was touched.
        ClusterError: one could not go, or did not come back, within the patience of the queue: names it.
    """
    wanted = frozenset(server.name for server in dc.topology.members) if servers is None else frozenset(servers)
    nodes = nodes_of(dc.topology)
    if unknown := sorted(wanted.difference(node.name for node in nodes)) or (not wanted and ["none"]):
        raise InputError(
            f"no such servers to restart: {', '.join(unknown)}",
            hint=f"there is {', '.join(each.name for each in nodes)}",
        )
    queue = Queue.of(nodes, _scaled(dc, limits), done=[node.name for node in nodes if node.name not in wanted])
    with dc.steps.step(f"restart {', '.join(queue.left)} {how}"):
        rolling = _Rolling(dc, queue, _Restart(dc=dc, cluster=cluster, how=how, drain=drain), held)
        wait_for(rolling.go_on, what="the queue to end", timeout=math.inf, interval=_INTERVAL)


def _scaled(dc: DataCenter, limits: Limits) -> Limits:
    return replace(
        limits,
        back_off=budget(dc, limits.back_off),
        longest=budget(dc, limits.longest),
        patience=budget(dc, limits.patience),
    )


@contextmanager
def stopping_at(name: str) -> Iterator[None]:
    """Demand that the queue in the body stops at a node. Raises AssertionError: it does not."""
    said = "it ends"
    try:
        yield
    except ClusterError as error:
        said = error.message
    assert said.startswith(f"{name}: {STOPS}"), f"the queue does not stop at {name}: {said}"


class _Rolling:
    """A queue at work. In simulated time its pauses are skipped."""

    def __init__(self, dc: DataCenter, queue: Queue, restart: _Restart, held: Callable[[str], object]) -> None:
        self._dc, self._queue, self._restart, self._held = dc, queue, restart, held
        self._turns: dict[str, Turn] = {}
        self._skipped = 0.0
        self._idle: float | None = None
        self._stopped: ClusterError | None = None

    def go_on(self) -> None:
        """Let those start that may, and all others go on. Raises NotYet while some are left, ClusterError."""
        if self._stopped is None:
            self._let_go()
        for name, turn in tuple(self._turns.items()):
            self._continue(name, turn)
        if self._stopped is not None and not self._turns:
            raise self._stopped
        if not self._turns and not self._queue.left:
            return
        raise NotYet(f"left are {', '.join(self._queue.left)}")

    def _let_go(self) -> None:
        """Let those go that may. Who is down is asked only where somebody might go: that is work for a cluster."""
        if not self._queue.ready(self._now()):
            self._rest({})
            return
        try:
            down = self._restart.down(self._turns)
            ready, why = self._queue.ready(self._now(), down=down), self._queue.obstacles(down)
        except (ClusterError, CommandError, WaitTimeout) as error:
            ready, why = (), dict.fromkeys(self._queue.left, error.message)
        for name in ready:
            self._idle = None
            self._tell(name, "start")
            self._queue = self._queue.started(name)
            self._turns[name] = self._restart.turn(name)
        if not ready:
            self._rest(why)

    def _rest(self, why: Mapping[str, str]) -> None:
        """Have nobody who may go now. Where nobody is under way and no pause is left that lasts as long as patience."""
        now, due = self._now(), self._queue.due(self._now())
        if self._turns or not self._queue.left:
            self._idle = None
        elif due is not None:
            self._idle = None
            self._skipped += 0.0 if self._dc.slowness else due - now
        elif self._idle is None:
            self._idle = now
        elif not self._dc.slowness or now - self._idle >= self._queue.limits.patience:
            told = "; ".join(f"{name}: {reason}" for name, reason in why.items()) or "nobody may go"
            self._stopped = ClusterError(f"the queue stands still: {told}")

    def _continue(self, name: str, turn: Turn) -> None:
        try:
            next(turn)
        except StopIteration:
            self._ended(name, BACK)
            self._queue = self._queue.finished(name)
        except HeldUpError as error:
            self._ended(name, HELD, error.message)
            self._put_back(self._queue.held, name, error.message)
            self._held(error.message)
        except (ClusterError, CommandError, WaitTimeout) as error:
            self._ended(name, "failed", error.message)
            self._put_back(self._queue.failed, name, error.message)

    def _put_back(self, verb: Callable[[str, str, float], Queue], name: str, reason: str) -> None:
        try:
            self._queue = verb(name, reason, self._now())
        except ClusterError as error:  # those that are away come back first
            self._stopped = error

    def _ended(self, name: str, phase: str, reason: str = "") -> None:
        del self._turns[name]
        self._tell(name, phase, reason)

    def _tell(self, name: str, phase: str, reason: str = "") -> None:
        self._dc.recorder.record("rolling", "queue", name=name, phase=phase, reason=reason)

    def _now(self) -> float:
        return time.monotonic() + self._skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restart:
    """What servers do in their turn. `before` are the boots in which they left."""

    dc: DataCenter
    cluster: Cluster
    how: How
    drain: Drain | None
    before: dict[str, str] = field(default_factory=dict)

    def down(self, turns: Collection[str]) -> frozenset[str]:
        """Return who is down though it is not its turn: without power, or a node that is not Ready.

        Raises ClusterError: nobody knows.
        """
        servers = self.dc.servers
        names = {server.name for server in self.dc.topology.members} - set(turns)
        down = {name for name in names if servers[name].power() is not Power.ON}
        if isinstance(self.cluster, KubernetesCluster):
            down |= {node.name for node in self.cluster.nodes() if node.name in names and not node.ready}
        return frozenset(down)

    def turn(self, name: str) -> Turn:
        """Let a server go, and wait until it is back and serves.

        One that has gone before, and is not back, gets no other farewell than the loss of its power; one that is back
        does not go again.
        """
        dc, machine = self.dc, self.dc.servers[name]
        if name not in self.before:
            yield from self._take_leave(machine)
        elif not _has_answered(machine, self.before[name]):
            _leave(machine, How.BY_POWER)
        answers = partial(_expect_answer, machine, self.before[name])
        yield from patiently(dc, answers, f"{name} to answer", _BOOT_SECONDS)
        yield from patiently(dc, lambda: neighbours_back(dc, [name]), f"{name} to be routed to", _SERVE_SECONDS)
        serves = partial(expect_serves, self.cluster, machine)
        yield from patiently(dc, serves, f"{name} to serve", _SERVE_SECONDS, every=_SELDOM)
        remember(machine)
        if self.drain is not None:
            yield from self.drain.use(name)

    def _take_leave(self, machine: Machine) -> Turn:
        """Take a server out of use and let it go. Whatever goes wrong before that holds it up."""
        try:
            boot = machine.boot_id()
            expect_others_serve(self.cluster, machine.name)
            if self.drain is not None:
                yield from self.drain.drain(machine.name)
        except HeldUpError:
            raise
        except (ClusterError, CommandError, WaitTimeout) as error:
            raise HeldUpError(f"{machine.name} has to stay: {error.message}") from error
        self.before[machine.name] = boot
        _leave(machine, self.how)


def patiently(dc: DataCenter, check: Callable[[], None], what: str, seconds: float, *, every: float = 0.0) -> Turn:
    """Wait for a fact while others go on, and look `every` so many seconds at most: yields why it is not so yet.

    Raises WaitTimeout, and what `check` raises.
    """
    limit, began, last, due = deadline(dc, seconds), time.monotonic(), "", 0.0
    while True:
        if time.monotonic() >= due:
            try:
                return check()
            except NotYet as reason:
                last = str(reason)
            due = time.monotonic() + every
        if time.monotonic() - began >= limit:
            raise WaitTimeout(what, deadline=limit, last=last)
        yield last


def expect_others_serve(cluster: Cluster, name: str) -> None:
    """Return if all other members serve, or this is none. Raises HeldUpError: the cluster could not do without it."""
    if name not in cluster.members:
        return
    bad = [member.server for member in cluster.state() if not member.healthy and member.server != name]
    if bad:
        raise HeldUpError(f"{name} has to stay while {', '.join(bad)} does not serve")


def expect_serves(cluster: Cluster, machine: Machine) -> None:
    """Return if a server does its part in the cluster again. Raises NotYet."""
    try:
        _expect_serves(cluster, machine)
    except (ClusterError, CommandError, WaitTimeout) as error:  # those whom one asks may be away themselves
        raise NotYet(error.message) from error


def _expect_serves(cluster: Cluster, machine: Machine) -> None:
    if isinstance(cluster, KubernetesCluster):
        told = cluster.get("Node", machine.name)["status"]["nodeInfo"]["bootID"]
        if told != machine.boot_id():  # until its kubelet speaks, the API has what it said before it went
            raise NotYet(f"the API has {machine.name} as it was before")
        if not any(node.ready for node in cluster.nodes() if node.name == machine.name):
            raise NotYet(f"{machine.name} is not Ready")
    if machine.name in cluster.members:
        states = {member.server: member for member in cluster.state()}
        if not states[machine.name].healthy:
            raise NotYet(f"{machine.name} does not serve")


def _leave(machine: Machine, how: How) -> None:
    if how is How.GRACEFULLY:
        machine.reboot()
    else:
        machine.power_off()
        machine.power_on()


def _expect_answer(machine: Machine, before: str) -> None:
    """Return if a server answers with another boot ID. Raises NotYet; ClusterError: it stands still."""
    if machine.power() is not Power.ON:
        raise ClusterError(f"{machine.name} is {machine.power()}: it will not come back by itself")
    try:
        boot = machine.boot_id()
    except VdcError as error:
        raise NotYet(error.message) from error
    if boot == before:
        raise NotYet(f"{machine.name}: the boot ID is still {boot}")


def _has_answered(machine: Machine, before: str) -> bool:
    try:
        _expect_answer(machine, before)
    except (NotYet, ClusterError):
        return False
    return True
