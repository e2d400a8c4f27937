from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.history import Event
from vdc.observe.ops import Gap, Operation, Outcome

TIMES = st.floats(0, 1e6).map(lambda seconds: round(seconds, 6))


@given(
    operation=st.builds(
        Operation,
        op=st.sampled_from(["write", "read"]),
        key=st.text(),
        value=st.none() | st.text(),
        start=TIMES,
        end=TIMES,
        outcome=st.sampled_from(Outcome),
        member=st.text(),
        error=st.none() | st.text(),
    )
)
def test_an_operation_survives_the_history(operation: Operation) -> None:
    line = operation.to_event("probe").to_line()
    assert Operation.from_event(Event.from_line(line)) == operation


def test_a_gap_knows_when_it_began() -> None:
    gap = Gap.from_event(Event(time=10.0, kind="gap", source="probe", data={"seconds": 2.5}))
    assert (gap.start, gap.end) == (7.5, 10.0)


def test_another_kind_of_event_is_no_operation() -> None:
    with pytest.raises(ValueError, match="not an operation but 'step'"):
        Operation.from_event(Event(time=0.0, kind="step", source="harness"))
