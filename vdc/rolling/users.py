"""What users of a Kubernetes see while nodes restart: a node serves nothing while it is away, others do. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import product
from math import inf
from typing import Final

from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import FlowOutage
from vdc.observe.verdict import Verdict
from vdc.rolling.history import Absence

_OF_THE_API: Final = "API "
_OF_A_POD: Final = "pod "
"""How lanes begin (`vdc.observe.kubernetes_ways`) of what asks an API server, and of a pod by its own address."""

Window = tuple[float, float]
"""From when to when, in host monotonic seconds."""


def served(
    watch: FlowWatch, away: Collection[Absence], *, members: Collection[str], longest: float, returning: float
) -> Verdict:
    """Judge whether no way to a cluster was shut for more than `longest` seconds, but where its own node was away.

    A node's ways have `returning` seconds more after it is back. While all of `members` are away nobody has an API.
    The address of a pod goes with the boot of its node, so what asks it by that is judged until then: later it is the
    services that tell of the pod. The figures are those of `longest_flow_outage`.
    """
    without_api = _all_away(away, members, returning=returning)

    def rest(flow: FlowSeen) -> FlowSeen:
        windows = tuple(_excused(flow, away, without_api, returning=returning))
        return replace(flow, outages=tuple(piece for each in flow.outages for piece in _outside(each, windows)))

    return longest_flow_outage(replace(watch, flows=tuple(map(rest, watch.flows))), budget=longest)


def _excused(
    flow: FlowSeen, away: Iterable[Absence], without_api: Iterable[Window], *, returning: float
) -> Iterator[Window]:
    for absence in away:
        if absence.server in flow.ends:
            yield absence.start, inf if flow.lane.startswith(_OF_A_POD) else absence.end + returning
    if flow.lane.startswith(_OF_THE_API):
        yield from without_api


def _all_away(away: Collection[Absence], members: Iterable[str], *, returning: float) -> tuple[Window, ...]:
    """Return when all of `members` are away at once."""
    together: tuple[Window, ...] = ((-inf, inf),)
    for member in members:
        own = [(absence.start, absence.end + returning) for absence in away if absence.server == member]
        both = ((max(a, c), min(b, d)) for (a, b), (c, d) in product(together, own))
        together = tuple((first, last) for first, last in both if first < last)
    return together


def _outside(outage: FlowOutage, windows: Collection[Window]) -> Iterator[FlowOutage]:
    """Yield the pieces of an outage that are in no window."""
    start = outage.start
    for first, last in sorted(windows):
        if start < min(first, outage.end):
            yield replace(outage, start=start, end=min(first, outage.end))
        start = max(start, last) if first < outage.end else start
    if start < outage.end:
        yield replace(outage, start=start)
