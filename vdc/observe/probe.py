"""Probes for scenarios: `with probe.etcd(cluster) as watch:` samples while the body disturbs."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import IO

from vdc.cluster.api import Cluster, SpeaksEtcd
from vdc.cluster.clients import client_of
from vdc.cluster.etcd import serving_deadline
from vdc.cluster.etcd_client import ClientConfig
from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.history import Event
from vdc.observe.etcd_probe import ProbeConfig
from vdc.observe.flow_watch import FlowWatch, flows
from vdc.observe.kubernetes_ways import targets, ways_to
from vdc.observe.ops import Gap, Operation
from vdc.observe.request_watch import requests
from vdc.observe.sampler import DURATION, ProbeError, Process, Sampler, Tail, sampler, save
from vdc.wait import NotYet, wait_for

PERIOD = 0.05
"""Seconds from one sample of etcd to the next, where guests are emulated."""

SHORTEST_PERIOD = 0.01
"""The same where they are so fast that it costs them little."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """What a probe saw; complete once its `with` block has ended.

    The body ran from `started` to `ended` (host monotonic seconds). `final` is what each member holds under
    `prefix` at the end, read linearizably through it: member to key to value.
    """

    prefix: str
    started: float
    ended: float = inf
    operations: tuple[Operation, ...] = ()
    gaps: tuple[Gap, ...] = ()
    events: tuple[Event, ...] = ()
    final: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Probe:
    """Starts probes. Stateless; the pytest plugin offers one as the fixture `probe`."""

    def flows(
        self, dc: DataCenter, *, racks: Collection[int] | None = None, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Have numbered packets go between racks and clients outside for the body: see `vdc.observe.flow_watch`."""
        return _without(away, flows(dc, racks=racks))

    def kubernetes(
        self, kubernetes: KubernetesCluster, pods: Sequence[Pod], *, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Ask over all ways to a Kubernetes for the body, from its client outside: see `kubernetes_ways`."""
        asked = targets(kubernetes, ways_to(kubernetes, pods))
        return _without(away, requests(kubernetes.dc, client_of(kubernetes.dc), asked))

    @contextmanager
    def etcd(self, cluster: Cluster, *, period: float | None = None, duration: float = DURATION) -> Iterator[Watch]:
        """Sample `cluster` from its external client for the time of the body, from the first acknowledged
        write on, but for `duration` seconds at most: a body that lasts longer is an error. A sample comes every
        `period`, by default as often as servers of this host bear.

        After a body that ended well, everything the probe wrote is read back through every member.

        Raises:
            WaitTimeout: no write was acknowledged, or a member could not be read at the end.
            ProbeError: the probe died or stopped by itself, or it does not know this kind of cluster.
        """
        if not isinstance(cluster, SpeaksEtcd):
            raise ProbeError(
                f"{type(cluster).__name__} cannot be probed: it does not speak etcd",
                hint="its deployer must return a cluster with all that `vdc.cluster.api.SpeaksEtcd` has",
            )
        prefix = f"vdc/probe/{uuid.uuid4().hex[:12]}"
        directory = cluster.dc.run_directory / "probes"
        directory.mkdir(parents=True, exist_ok=True)
        stem = directory / prefix.rpartition("/")[2]
        history = cluster.dc.recorder.path
        often = min(PERIOD, max(SHORTEST_PERIOD, PERIOD * cluster.dc.slowness)) if period is None else period
        config = replace(_config(cluster, prefix, history, often), duration=duration)
        save(config, stem.with_suffix(".json"))
        tail = Tail(history)
        with _running(cluster, stem) as process:
            wait_for(
                lambda: _first_write(tail, config.source, process),
                what="the probe's first acknowledged write",
                timeout=serving_deadline(cluster.dc.slowness),
            )
            watch = Watch(prefix=prefix, started=time.monotonic())
            try:
                yield watch
            finally:
                watch.ended = time.monotonic()
                try:
                    process.stop(patience=config.client.timeout + 30.0)
                finally:
                    _fill(watch, tail.read(), config.source)
        watch.final = {member: _read_back(cluster, prefix, member) for member in cluster.members}


@contextmanager
def _without(away: Collection[str], watching: AbstractContextManager[FlowWatch]) -> Iterator[FlowWatch]:
    with watching as watch:
        watch.away = frozenset(away)
        yield watch


def _config(cluster: SpeaksEtcd, prefix: str, history: Path, period: float) -> ProbeConfig:
    timeout = 2.0 * max(1.0, cluster.dc.slowness)
    client = replace(ClientConfig.load(cluster.config_path), timeout=timeout)
    return ProbeConfig(
        client=client,
        prefix=prefix,
        history=str(history),
        period=period,
        # Room for every operation of a total outage, so that each tick is really sent.
        max_in_flight=max(64, round(1.2 * timeout / period)),
    )


@contextmanager
def _running(cluster: SpeaksEtcd, stem: Path) -> Iterator[Sampler]:
    argv = [sys.executable, "-m", "vdc.observe.etcd_probe", str(stem.with_suffix(".json"))]

    def start(output: IO[bytes]) -> Process:
        return cluster.client.start(argv, output=output)

    with sampler(stem.with_suffix(".log"), start) as process:
        yield process


def _first_write(tail: Tail, source: str, process: Sampler) -> None:
    process.expect_alive()
    operations = [Operation.from_event(event) for event in tail.read() if _is_op(event, source)]
    if not any(operation.op == "write" and operation.ok for operation in operations):
        last = operations[-1].error if operations else "no sample yet"
        raise NotYet(f"{len(operations)} operations, none of them an acknowledged write; last: {last}")


def _is_op(event: Event, source: str) -> bool:
    return event.kind == "op" and event.source == source


def _fill(watch: Watch, events: list[Event], source: str) -> None:
    watch.events = tuple(event for event in events if event.kind != "op")
    watch.operations = tuple(Operation.from_event(event) for event in events if _is_op(event, source))
    watch.gaps = tuple(Gap.from_event(event) for event in events if event.kind == "gap" and event.source == source)


def _read_back(cluster: SpeaksEtcd, prefix: str, member: str) -> Mapping[str, str]:
    def read() -> Mapping[str, str]:
        try:
            return cluster.read_prefix(f"{prefix}/", via=member)
        except ClusterError as error:
            raise NotYet(str(error)) from error

    return wait_for(
        read,
        what=f"what the probe wrote to be readable through {member}",
        timeout=serving_deadline(cluster.dc.slowness),
        interval=0.5,
    )


__all__ = ["Probe", "ProbeError", "Watch"]
