"""Probes for scenarios: `with probe.etcd(cluster) as watch:` samples while the body disturbs."""

from __future__ import annotations

import signal
import subprocess  # noqa: TID251 - the types only; vdc.shell starts the process
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from vdc.cluster.api import Cluster, SpeaksEtcd
from vdc.cluster.etcd import serving_deadline
from vdc.cluster.etcd_client import ClientConfig
from vdc.errors import ClusterError, VdcError
from vdc.history import Event
from vdc.observe.etcd_probe import ProbeConfig
from vdc.observe.ops import Gap, Operation
from vdc.wait import NotYet, wait_for

PERIOD = 0.05
"""Seconds from one sample to the next."""

DURATION = 3600.0
"""Seconds. A probe that nobody stops stops by itself."""


class ProbeError(VdcError):
    """The probe itself failed: nothing can be said of the cluster."""


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

    @contextmanager
    def etcd(self, cluster: Cluster, *, period: float = PERIOD, duration: float = DURATION) -> Iterator[Watch]:
        """Sample `cluster` from its external client for the time of the body, from the first acknowledged
        write on, but for `duration` seconds at most: a body that lasts longer is an error.

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
        config = replace(_config(cluster, prefix, history, period), duration=duration)
        config.save(stem.with_suffix(".json"))
        tail = _Tail(history)
        with _running(cluster, stem) as process:
            wait_for(
                lambda: _first_write(tail, config.source, process, stem),
                what="the probe's first acknowledged write",
                timeout=serving_deadline(cluster.dc.slowness),
            )
            watch = Watch(prefix=prefix, started=time.monotonic())
            try:
                yield watch
            finally:
                watch.ended = time.monotonic()
                try:
                    _stop(process, stem, patience=config.client.timeout + 30.0)
                finally:
                    _fill(watch, tail.read(), config.source)
        watch.final = {member: _read_back(cluster, prefix, member) for member in cluster.members}


class _Tail:
    """The events appended to a history file since this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._events: list[Event] = []

    def read(self) -> list[Event]:
        """Return all of them so far."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _torn = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            self._events += [Event.from_line(line.decode()) for line in whole.splitlines()]
        return self._events


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
def _running(cluster: SpeaksEtcd, stem: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "vdc.observe.etcd_probe", str(stem.with_suffix(".json"))]
    with stem.with_suffix(".log").open("ab") as log:
        process = cluster.client.start(argv, output=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _first_write(tail: _Tail, source: str, process: subprocess.Popen[bytes], stem: Path) -> None:
    if process.poll() is not None:
        raise ProbeError(f"the probe died: {_log(stem)}")
    operations = [Operation.from_event(event) for event in tail.read() if _is_op(event, source)]
    if not any(operation.op == "write" and operation.ok for operation in operations):
        last = operations[-1].error if operations else "no sample yet"
        raise NotYet(f"{len(operations)} operations, none of them an acknowledged write; last: {last}")


def _stop(process: subprocess.Popen[bytes], stem: Path, *, patience: float) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"the probe did not end within {patience:.0f} s: {_log(stem)}") from error
    if status != 0:
        raise ProbeError(f"the probe died with status {status}: {_log(stem)}")


def _log(stem: Path) -> str:
    text = stem.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
    return text[-2000:] or "(it said nothing)"


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
