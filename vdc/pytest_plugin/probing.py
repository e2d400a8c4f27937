"""The fixture `probe`: the outages it measures are properties of the test, whatever that judges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import inf

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.datacenter.api import DataCenter
from vdc.observe.attribution import longest_by_event
from vdc.observe.checkers import longest_outage
from vdc.observe.flow_watch import FlowWatch
from vdc.observe.probe import Probe, Watch
from vdc.report import EventOutage

FIGURES = ("write_outage", "read_outage", "flow_outage", "request_outage")
"""The figures that are recorded, in seconds; names of properties and of columns in the report."""

EVENT = "event_outage"
"""The name of the properties that tell the outage of one event each."""


class RecordingProbe:
    """Implements `vdc.observe.service.Prober`."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    @contextmanager
    def etcd(self, cluster: Cluster) -> Iterator[Watch]:
        """Probe an etcd cluster, and record the outages when the body has ended, well or badly."""
        seen: Watch | None = None
        try:
            with Probe().etcd(cluster) as watch:
                seen = watch
                yield watch
        finally:
            if seen is not None:
                self._record_outages(seen)

    def flows(
        self, dc: DataCenter, *, racks: Collection[int] | None = None, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Watch flows, and record the longest outage when the body has ended, well or badly.

        It is that of the flows that are judged: of those that end at `away` the time line alone tells.
        """
        return self._recorded("flow_outage", Probe().flows(dc, racks=racks, away=away))

    def kubernetes(
        self, kubernetes: KubernetesCluster, pods: Sequence[Pod], *, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Ask a Kubernetes, and record the longest outage as `flows` does."""
        return self._recorded("request_outage", Probe().kubernetes(kubernetes, pods, away=away))

    @contextmanager
    def _recorded(self, figure: str, watching: AbstractContextManager[FlowWatch]) -> Iterator[FlowWatch]:
        seen: FlowWatch | None = None
        try:
            with watching as watch:
                seen = watch
                yield watch
        finally:
            if seen is not None and seen.besides(()):
                self._record(figure, round(seen.longest(), 3))

    def _record_outages(self, watch: Watch) -> None:
        window = {"start": watch.started, "end": watch.ended}
        figures = longest_outage(watch.operations, budget=inf, gaps=watch.gaps, **window).figures
        for name in FIGURES:
            if name in figures:
                self._record(name, round(figures[name], 3))
        for event, by_op in longest_by_event(watch.operations, watch.events, **window).items():
            self._record(EVENT, EventOutage(event=event, write=by_op.get("write"), read=by_op.get("read")))
