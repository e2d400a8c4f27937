"""The fixture `probe` records the longest outage that it saw, whatever becomes of the body."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import FlowOutage
from vdc.observe.probe import Probe
from vdc.pytest_plugin.probing import RecordingProbe
from vdc.testing import FakeDataCenter

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
OUTAGE = FlowOutage(start=1.0, end=1.25, lost=24)
SEEN = (FlowSeen(name="a → b udp", ends=("a", "b"), lane="l", sent=100, lost=24, outages=(OUTAGE,)),)


GONE = FlowSeen(
    name="a → c udp", ends=("a", "c"), lane="l", sent=100, outages=(FlowOutage(start=1.0, end=9.0, lost=9),)
)


@pytest.mark.parametrize(
    ("seen", "recorded"),
    [(SEEN, [("flow_outage", 0.25)]), ((*SEEN, GONE), [("flow_outage", 0.25)]), ((GONE,), []), ((), [])],
    ids=["seen", "to what is away, too", "to what is away alone", "nothing"],
)
def test_the_longest_outage_of_a_flow_that_is_judged_is_recorded_after_a_body_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: tuple[FlowSeen, ...], recorded: list[tuple[str, float]]
) -> None:
    @contextmanager
    def flows(*_: object, away: Collection[str], **__: object) -> Iterator[FlowWatch]:
        watch = FlowWatch(started=0.0, away=frozenset(away))
        try:
            yield watch
        finally:
            watch.flows = seen

    monkeypatch.setattr(Probe, "flows", flows)
    found: list[tuple[str, object]] = []
    probe = RecordingProbe(lambda name, value: found.append((name, value)))
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "fabric.yml")), tmp_path)
    with pytest.raises(ZeroDivisionError), probe.flows(dc, away=["c"]):
        raise ZeroDivisionError
    assert found == recorded
