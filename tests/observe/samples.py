"""Samples of probes for tests of the judges."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st

from vdc.observe.ops import Operation, Outcome

unhurried = settings(max_examples=60, deadline=None)
"""For properties: a busy host is no failure."""


def operation(
    op: str,
    value: str | None,
    start: float,
    end: float,
    *,
    outcome: Outcome = Outcome.OK,
    key: str = "k",
    member: str = "m",
) -> Operation:
    return Operation(op=op, key=key, value=value, start=start, end=end, outcome=outcome, member=member)


def probed(down: Iterable[tuple[float, float]], *, seconds: float = 20.0, period: float = 0.1) -> list[Operation]:
    """A write and a read every period, which are answered at once unless the service is down just then."""
    stretches = list(down)
    found: list[Operation] = []
    for tick in range(round(seconds / period)):
        start = tick * period
        outcome = Outcome.FAILED if any(a <= start < b for a, b in stretches) else Outcome.OK
        found += [operation(op, "v", start, start + 0.01, outcome=outcome, key=str(tick)) for op in ("write", "read")]
    return found


def stretches(seconds: float = 18.0) -> st.SearchStrategy[list[tuple[float, float]]]:
    """When a service is down: some stretches that may overlap."""
    moment = st.integers(1, round(seconds * 10)).map(lambda tenths: tenths / 10)
    return st.lists(st.tuples(moment, moment).map(lambda pair: (min(pair), max(pair))), max_size=4)
