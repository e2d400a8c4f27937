"""A probe in simulated time: it samples a fake cluster after everything that changes in its data centre."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vdc.cluster.api import Cluster
from vdc.errors import ClusterError
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import Watch
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.lies import Lie

_PERIOD = 0.05
_ROUNDS = 3
_LONG_SECONDS = 600
_PREFIX = "vdc/probe/fake"


class FakeProbe:
    """Probes of the data centre `dc`."""

    def __init__(self, dc: FakeDataCenter) -> None:
        self._dc = dc

    @contextmanager
    def etcd(self, cluster: Cluster) -> Iterator[Watch]:
        """Sample before the body, after every change in it, and after it."""
        sampler = _Sampler(cluster, self._dc.world.lies)
        observers = self._dc.world.observers
        watch = Watch(prefix=_PREFIX, started=sampler.now)
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


class _Sampler:
    def __init__(self, cluster: Cluster, lies: frozenset[Lie]) -> None:
        self._cluster = cluster
        self._lies = lies
        self.now = 0.0
        self._blind = False
        self._acknowledged: dict[str, str] = {}
        self.operations: list[Operation] = []

    def changed(self) -> None:
        """Sample, after ten minutes without an answer, or without a look, if that is the lie."""
        if Lie.SLOW_FAILOVER in self._lies:
            for _ in range(_LONG_SECONDS):
                key = f"{_PREFIX}/{len(self.operations)}"
                self._append("write", key, "unanswered", self._cluster.members[0], error="no answer")
                self.now += 1.0
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
        held = dict(self._cluster.read_prefix(f"{_PREFIX}/", via=member))
        if Lie.WRITE_LOST in self._lies and self._acknowledged:
            held.pop(list(self._acknowledged)[-1], None)
        return held

    def _write(self, member: str) -> None:
        key = f"{_PREFIX}/{len(self.operations)}"
        value = f"value of {key}"
        try:
            self._cluster.write(key, value, via=member)
        except ClusterError as error:
            self._append("write", key, value, member, error=str(error))
        else:
            self._acknowledged[key] = value
            self._append("write", key, value, member)

    def _read(self, member: str) -> None:
        key = next(reversed(self._acknowledged), f"{_PREFIX}/none")
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
