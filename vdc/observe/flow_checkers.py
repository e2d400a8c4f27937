"""The judge of flows: pure, like `vdc.observe.checkers`, and as wary of what nobody looked at."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import PathOutage
from vdc.observe.ops import Gap, blind_seconds
from vdc.observe.verdict import Kind, Verdict, judge, shown

_BLIND = 30.0  # seconds without a packet that prove nothing, however long an outage may be
_LAST = 1.0  # seconds; a probe that is well has told of its packets so soon


def longest_flow_outage(watch: FlowWatch, *, budget: float, besides: Collection[str] = ()) -> Verdict:
    """Judge whether no stream of a flow lost all its packets for more than `budget` seconds.

    Flows that end at one of the devices `besides`, or at one that is to go away, are left out. An outage that might be
    the probe's own is `unknown`, and so are no flows, a flow without packets, and a time that nobody looked at. The
    figures are `outage` and `lost`, `duplicated` and `reordered`, the shares of packets, and `resolution`, by which an
    outage may be shorter than told.
    """
    flows = watch.besides(besides)
    figures = _figures(watch, flows)

    def verdict(kind: Kind, message: str) -> Verdict:
        return Verdict(kind=kind, checker="longest_flow_outage", message=message, figures=figures)

    if nothing := _nothing(flows):
        return verdict(Kind.UNKNOWN, nothing)
    gaps = [gap for gap in watch.gaps if gap.end > watch.started and gap.start < watch.ended]
    if wrong := _wrong(flows, gaps, budget):
        return verdict(Kind.INVALID, wrong)
    if doubt := _doubt(watch, gaps, figures["outage"], budget):
        return verdict(Kind.UNKNOWN, doubt)
    longest = f"longest outage {figures['outage']:.3f} s of {len(flows)} flows"
    return verdict(Kind.VALID, f"{longest}, {budget:.3f} s allowed")


def judge_flows(watch: FlowWatch, *, longest: float | None, besides: Collection[str] = ()) -> None:
    """Demand that no flow had an outage of more than `longest` seconds, but for those that end at `besides`.

    Where an outage is part of the bargain, `longest` is None: packets are demanded all the same.

    Raises AssertionError with what the checker says, also if it cannot tell.
    """
    judge(longest_flow_outage(watch, budget=inf if longest is None else longest, besides=besides))


def _nothing(flows: Collection[FlowSeen]) -> str:
    """Return that there is nothing to judge by."""
    silent = [flow.name for flow in flows if not flow.sent]
    return f"nothing was sent: {shown(silent)}" if silent else "" if flows else "no flow was watched"


def _wrong(flows: Collection[FlowSeen], gaps: Collection[Gap], budget: float) -> str:
    """Return what is certainly wrong, the longest outages first."""
    if dead := [flow.name for flow in flows if flow.lost == flow.sent]:
        return f"nothing ever came: {shown(dead)}"
    found = (PathOutage(flow.name, outage) for flow in flows for outage in flow.outages)
    proven = [each for each in found if _seen(each, gaps) > budget]
    texts = [str(each) for each in sorted(proven, key=lambda each: each.start - each.end)]
    return f"{shown(texts)}; {budget:.3f} s allowed" if texts else ""


def _seen(outage: PathOutage, gaps: Collection[Gap]) -> float:
    """Return the seconds of an outage in which the probe that told of it was not starved; others have no part in it."""
    own = (gap for gap in gaps if gap.source == outage.outage.source)
    return outage.end - outage.start - blind_seconds(outage, own)


def _doubt(watch: FlowWatch, gaps: Collection[Gap], longest: float, budget: float) -> str:
    """Return why nothing good can be said of the flows."""
    allowed = min(max(budget, watch.resolution), _BLIND)
    starved = max((gap.seconds for gap in gaps), default=0.0)
    if longest > budget or starved > allowed:
        return f"inconclusive: the probe itself was starved for up to {starved:.2f} s"
    unseen = watch.ended - watch.latest
    if unseen > max(_LAST, min(budget, _BLIND)):
        return f"the probe was starved or gone: it told of nothing in the last {unseen:.2f} s"
    return ""


def _figures(watch: FlowWatch, flows: Collection[FlowSeen]) -> dict[str, float]:
    sent = sum(flow.sent for flow in flows)
    kinds = ("lost", "duplicated", "reordered")
    return {
        "outage": max((flow.longest for flow in flows), default=0.0),
        **{kind: sum(getattr(flow, kind) for flow in flows) / max(1, sent) for kind in kinds},
        "resolution": watch.resolution,
    }
