"""A probe in simulated time: it samples a fake cluster after everything that changes in its data centre."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from vdc.cluster.api import Cluster
from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import Component, KubernetesCluster, Pod
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.observe.flow_watch import FlowSeen, FlowWatch, Way
from vdc.observe.flows import PERIOD, flows_of
from vdc.observe.kubernetes_ways import ALIVE, KubernetesWay, ways_to
from vdc.observe.ledger import FlowOutage, Ledger
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import Watch
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.lies import Lie

_PERIOD = 0.05
_ROUNDS = 3
_LONG_SECONDS = 600
_PREFIX = "vdc/probe/fake"
_OK = 200


class FakeProbe:
    """Probes of the data centre `dc`."""

    def __init__(self, dc: FakeDataCenter) -> None:
        self._dc = dc
        self._turns = 0

    @contextmanager
    def etcd(self, cluster: Cluster) -> Iterator[Watch]:
        """Sample before the body, after every change in it, and after it."""
        self._turns += 1
        prefix = _PREFIX if self._turns == 1 else f"{_PREFIX}-{self._turns}"
        sampler = _Sampler(cluster, self._dc.world.lies, prefix)
        observers = self._dc.world.observers
        watch = Watch(prefix=prefix, started=sampler.now)
        sampler.sample()
        observers.append(sampler.changed)
        try:
            yield watch
        finally:
            observers.remove(sampler.changed)
            sampler.sample()
            watch.ended = sampler.now
            watch.operations = () if Lie.NO_SAMPLES in self._dc.world.lies else tuple(sampler.operations)
        watch.final = {member: sampler.final(member) for member in cluster.members}

    def flows(
        self, dc: DataCenter, *, racks: Collection[int] | None = None, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Send packets before the body, after every change in it, and after it."""
        flows = flows_of(dc.topology, racks=racks)
        world = self._dc.world

        def lost() -> set[Way]:
            return {flow for flow in flows if not world.reaches(flow.source, flow.far)}

        apart: set[Way] = {flow for flow in flows if flow.source != flows[0].source and flow.protocol == "udp"}
        return self._watched(_Sender(world.lies, flows, lost, apart), away)

    def kubernetes(
        self, kubernetes: KubernetesCluster, pods: Sequence[Pod], *, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Ask before the body, after every change in it, and after it."""
        ways = ways_to(kubernetes, pods)

        def lost() -> set[Way]:
            return {way for way in ways if not _answers(kubernetes, way)}

        return self._watched(_Sender(self._dc.world.lies, ways, lost, set(ways[1:])), away)

    @contextmanager
    def _watched(self, sender: _Sender, away: Collection[str]) -> Iterator[FlowWatch]:
        observers = self._dc.world.observers
        watch = FlowWatch(started=sender.now, away=frozenset(away))
        sender.send()
        observers.append(sender.changed)
        try:
            yield watch
        finally:
            observers.remove(sender.changed)
            sender.changed()  # that the body is over is a change, too: lies show where it has made none
            watch.ended, watch.latest = sender.now, sender.latest
            watch.flows = () if Lie.NO_SAMPLES in self._dc.world.lies else sender.seen()


def _answers(kubernetes: KubernetesCluster, way: KubernetesWay) -> bool:
    try:
        if way.kind == "url":
            return kubernetes.fetch(way.url, source=client_of(kubernetes.dc).name).status == _OK
        if way.kind == "dns":
            return kubernetes.running(Component.DNS, way.device)
        return kubernetes.ask_api(ALIVE, via=way.device, proxied=way.kind == "proxy").status == _OK
    except ClusterError:
        return False


class _Sender:
    """Sends packets, or asks, in simulated time. `lost` are the ways on which nothing comes now.

    `apart` are those of them that are lost by some that lie.
    """

    def __init__(
        self, lies: Collection[Lie], ways: Sequence[Way], lost: Callable[[], set[Way]], apart: set[Way]
    ) -> None:
        self._lies = lies
        self._lost, self._apart = lost, apart
        self._ledgers = {way: Ledger() for way in ways}
        self._outages: dict[Way, list[FlowOutage]] = {way: [] for way in ways}
        self.now = self.latest = 0.0

    def changed(self) -> None:
        """Send, after ten minutes in which all or some are lost, or in which nobody looks, if that is the lie."""
        if Lie.SAMPLES_STOP in self._lies:
            self.now += _LONG_SECONDS
            return
        if Lie.SLOW_FAILOVER in self._lies:
            self._wait(lost=set(self._ledgers))
        if Lie.ONE_WAY_LOST in self._lies:
            self._wait(lost=self._apart)
        self.send()

    def send(self) -> None:
        """Send a few packets over each way."""
        if Lie.SAMPLES_STOP in self._lies and self.latest:
            return
        for _ in range(_ROUNDS):
            self._send(self._lost())

    def seen(self) -> tuple[FlowSeen, ...]:
        """Return what became of all that was sent."""
        return tuple(self._seen(way, ledger) for way, ledger in self._ledgers.items())

    def _wait(self, lost: set[Way]) -> None:
        for _ in range(_LONG_SECONDS):
            self._send(lost)
            self.now += 1.0

    def _send(self, lost: set[Way]) -> None:
        for way, ledger in self._ledgers.items():
            number = ledger.send(self.now)
            if way not in lost:
                ledger.come(number)
            self._outages[way] += ledger.settle(self.now)
        self.latest = self.now
        self.now += PERIOD

    def _seen(self, way: Way, ledger: Ledger) -> FlowSeen:
        outages = (*self._outages[way], *ledger.close(self.now))
        counts = ledger.take()
        ends = (way.source, way.target)
        return FlowSeen(
            name=way.name, ends=ends, lane=way.lane, sent=counts.sent, lost=counts.lost, outages=tuple(outages)
        )


class _Sampler:
    def __init__(self, cluster: Cluster, lies: frozenset[Lie], prefix: str) -> None:
        self._cluster = cluster
        self._lies = lies
        self._prefix = prefix
        self.now = 0.0
        self._blind = False
        self._acknowledged: dict[str, str] = {}
        self.operations: list[Operation] = []

    def changed(self) -> None:
        """Sample, after ten minutes without an answer, or without a look, if that is the lie."""
        if Lie.SLOW_FAILOVER in self._lies:
            for _ in range(_LONG_SECONDS):
                key = f"{self._prefix}/{len(self.operations)}"
                self._append("write", key, "unanswered", self._cluster.members[0], error="no answer")
                self.now += 1.0
        if Lie.OUTAGE_UNSAMPLED in self._lies:
            self.now += _LONG_SECONDS
        if Lie.SAMPLES_STOP in self._lies:
            self._blind = True
            self.now += _LONG_SECONDS
        self.sample()

    def sample(self) -> None:
        """Write and read through every member, a few times over."""
        for _ in range(0 if self._blind else _ROUNDS):
            for member in self._cluster.members:
                self._write(member)
                self._read(member)

    def final(self, member: str) -> Mapping[str, str]:
        """Return what a member holds in the end."""
        held = dict(self._cluster.read_prefix(f"{self._prefix}/", via=member))
        if Lie.WRITE_LOST in self._lies and self._acknowledged:
            held.pop(list(self._acknowledged)[-1], None)
        return held

    def _write(self, member: str) -> None:
        key = f"{self._prefix}/{len(self.operations)}"
        value = f"value of {key}"
        try:
            self._cluster.write(key, value, via=member)
        except ClusterError as error:
            self._append("write", key, value, member, error=str(error))
        else:
            self._acknowledged[key] = value
            self._append("write", key, value, member)

    def _read(self, member: str) -> None:
        key = next(reversed(self._acknowledged), f"{self._prefix}/none")
        try:
            self._append("read", key, self._cluster.read(key, via=member), member)
        except ClusterError as error:
            self._append("read", key, None, member, error=str(error))

    def _append(self, op: str, key: str, value: str | None, member: str, *, error: str | None = None) -> None:
        outcome = Outcome.OK if error is None else Outcome.UNKNOWN if op == "write" else Outcome.FAILED
        self.operations.append(
            Operation(
                op=op,
                key=key,
                value=value,
                start=self.now,
                end=self.now + _PERIOD / 2,
                outcome=outcome,
                member=member,
                error=error,
            )
        )
        self.now += _PERIOD
