"""The fixture `probe`: the outages it measures are properties of the test, whatever that judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from vdc.cluster.api import Cluster
from vdc.observe.attribution import longest_by_event
from vdc.observe.checkers import longest_outage
from vdc.observe.probe import Probe, Watch
from vdc.report import EventOutage

FIGURES = ("write_outage", "read_outage")
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

    def _record_outages(self, watch: Watch) -> None:
        window = {"start": watch.started, "end": watch.ended}
        figures = longest_outage(watch.operations, budget=inf, gaps=watch.gaps, **window).figures
        for name in FIGURES:
            if name in figures:
                self._record(name, round(figures[name], 3))
        for event, by_op in longest_by_event(watch.operations, watch.events, **window).items():
            self._record(EVENT, EventOutage(event=event, write=by_op.get("write"), read=by_op.get("read")))
