"""What happened inside a data centre, read from one in memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe import inside
from vdc.observe.inside import Inside
from vdc.shell import Completed
from vdc.testing import FakeDataCenter, FakeKubernetes

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "k8s-small.yml"


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(expand(load(TOPOLOGY)), tmp_path)


def test_journals_clocks_and_the_cluster_s_events_are_told_in_order(
    dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeKubernetes(dc)
    monkeypatch.setattr(inside, "deployed", lambda _: iter([cluster]))
    asked: list[tuple[str, ...]] = []

    def journalctl(server: str, argv: tuple[str, ...]) -> Completed:
        asked.append(argv)
        line = {"__REALTIME_TIMESTAMP": str(round(time.time() * 1e6)), "MESSAGE": server, "PRIORITY": "3"}
        return Completed(argv=argv, status=0, stdout=json.dumps(line), stderr="")

    dc.world.programs["journalctl"] = journalctl
    seen = Inside(dc)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 1))
    cluster.apply({"kind": "Event", "metadata": {"name": "e"}, "reason": "BackOff", "eventTime": stamp})
    dc.servers["rack1-cs0"].power_off()
    events = seen.read()
    assert [event.time for event in events] == sorted(event.time for event in events)
    on = {name for name in dc.servers if name != "rack1-cs0"}
    offsets = Counter(event.source for event in events if event.kind == "offset")
    assert offsets == {name: 2 if name in on else 1 for name in dc.servers}, "at the beginning, and now"
    assert [event.data["why"] for event in events if event.source == "rack1-cs0" and event.kind == "note"] == [
        "it is off"
    ]
    assert {event.data["text"] for event in events if event.kind == "journal"} == on
    assert [event.data["name"] for event in events if event.kind == "cluster"] == ["BackOff"]
    assert abs(max(abs(event.data["seconds"]) for event in events if event.kind == "offset")) < 1.0
    since = [float(word.removeprefix("--since=@")) for argv in asked for word in argv if word.startswith("--since=@")]
    assert len(since) == len(on)
    assert max(since) <= time.time()


def test_a_guest_that_answers_nonsense_costs_no_other_its_journal(dc: FakeDataCenter) -> None:
    def journalctl(server: str, argv: tuple[str, ...]) -> Completed:
        priority = [{}] if server == "rack1-cs0" else "3"
        line = {"__REALTIME_TIMESTAMP": str(round(time.time() * 1e6)), "MESSAGE": server, "PRIORITY": priority}
        return Completed(argv=argv, status=0, stdout=json.dumps(line), stderr="")

    dc.world.programs["journalctl"] = journalctl
    events = Inside(dc).read()
    assert {event.source for event in events if event.kind == "journal"} == {*dc.servers} - {"rack1-cs0"}
    (silent,) = [event for event in events if event.kind == "note" and event.source == "rack1-cs0"]
    assert "ValueError" in silent.data["why"]


def test_a_guest_that_gives_no_answer_is_told_and_the_others_are_read(dc: FakeDataCenter) -> None:
    seen = Inside(dc)
    dc.servers["rack1-cs0"].crash()
    events = seen.read()
    (silent,) = [event for event in events if event.kind == "note" and event.source == "rack1-cs0"]
    assert silent.data["name"] == "nothing was read of it"
    offsets = Counter(event.source for event in events if event.kind == "offset")
    assert offsets == {name: 1 if name == "rack1-cs0" else 2 for name in dc.servers}
