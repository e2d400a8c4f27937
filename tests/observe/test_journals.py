"""Journals of guests and Events of Kubernetes come to the one time line."""

from __future__ import annotations

import json

import pytest

from vdc.observe.clocks import Clock, Offset
from vdc.observe.journals import cluster_events, journal_events

LEAD = 1_700_000_000.0
CLOCK = Clock((Offset(time=10.0, seconds=0.5, uncertainty=0.003),))


def _line(message: object, seconds: float = 20.0, **fields: str) -> str:
    stamp = str(round((LEAD + seconds) * 1e6))
    return json.dumps({"__REALTIME_TIMESTAMP": stamp, "MESSAGE": message, "PRIORITY": "6", **fields})


def test_a_line_has_its_place_by_the_guest_s_clock() -> None:
    text = _line("Failed to start it", PRIORITY="3", SYSLOG_IDENTIFIER="systemd", _SYSTEMD_UNIT="init.scope")
    (event,) = journal_events(text, "cs0", CLOCK, LEAD)
    assert (event.kind, event.source) == ("journal", "cs0")
    assert event.time == pytest.approx(19.5, abs=1e-3)
    assert event.data == {"who": "systemd", "priority": 3, "text": "Failed to start it", "uncertainty": 0.003}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("raft.node: 8e9e elected leader 8e9e at term 2", "elected leader 8e9e at term 2"),
        ("8e9e became leader at term 7", "became leader at term 7"),
        ("raft.node: 8e9e lost leader 8e9e at term 2", "lost leader 8e9e at term 2"),
        ("raft.node: 8e9e changed leader from 1 to 2 at term 3", "changed leader from 1 to 2 at term 3"),
        ('{"msg":"8e9e became leader at term 3"}', 'became leader at term 3"}'),
    ],
)
@pytest.mark.parametrize("unit", ["etcd.service", "vdc-etcd.service"])
def test_another_leader_of_etcd_is_an_event_of_the_cluster(message: str, told: str, unit: str) -> None:
    (event,) = journal_events(_line(message, _SYSTEMD_UNIT=unit), "cs0", CLOCK, LEAD)
    assert (event.kind, event.data["name"], event.data["text"]) == ("cluster", "leader", told)


def test_of_etcd_s_log_only_warnings_and_leaders_are_taken() -> None:
    text = "\n".join(
        [
            _line("compacted", _SYSTEMD_UNIT="etcd.service"),
            _line("read-only range request took too long", PRIORITY="4", _SYSTEMD_UNIT="etcd.service"),
        ]
    )
    assert [event.data["text"] for event in journal_events(text, "cs0", CLOCK, LEAD)] == [
        "read-only range request took too long"
    ]


def test_what_is_no_text_or_no_line_of_a_journal_hurts_nobody() -> None:
    text = "\n".join(["not JSON", "[]", '{"MESSAGE": "no time"}', "", _line(list(b"\xffcaf\xc3\xa9")), _line(None)])
    assert [event.data["text"] for event in journal_events(text, "cs0", CLOCK, LEAD)] == ["\ufffdcafé", ""]


def test_of_a_field_that_an_entry_has_more_than_once_the_last_counts() -> None:
    entry = json.loads(_line(["first", list(b"last")]))
    text = json.dumps(entry | {"PRIORITY": ["6", "3"], "SYSLOG_IDENTIFIER": ["app"], "_SYSTEMD_UNIT": ["a", "b"]})
    (event,) = journal_events(text, "cs0", CLOCK, LEAD)
    assert (event.data["text"], event.data["priority"], event.data["who"]) == ("last", 3, "app")


def _object(**fields: object) -> dict[str, object]:
    return {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "vdc", "name": "web"}, **fields}


def test_an_event_of_kubernetes_has_its_place_by_the_clock_of_its_node() -> None:
    stamp = "2023-11-14T22:13:40Z"  # LEAD + 20 s
    found = _object(
        reason="BackOff",
        message="restarting",
        type="Warning",
        lastTimestamp=stamp,
        source={"component": "kubelet", "host": "cs0"},
    )
    (event,) = cluster_events([found], {"cs0": CLOCK}, LEAD, since=0.0)
    assert (event.kind, event.source, event.time) == ("cluster", "kubelet", 19.5)
    assert event.data == {"name": "BackOff", "text": "Pod/vdc/web: restarting", "uncertainty": 1.003, "bad": True}


def test_one_with_a_finer_time_is_that_certain() -> None:
    found = _object(eventTime="2023-11-14T22:13:40.250000Z", reportingComponent="scheduler", reason="Scheduled")
    (event,) = cluster_events([found], {}, LEAD, since=0.0)
    assert (event.source, event.time, event.data["uncertainty"]) == ("scheduler", 20.25, 0.0)
    assert "bad" not in event.data


def test_what_is_older_or_has_no_time_is_left_out() -> None:
    old = _object(lastTimestamp="2023-11-14T22:13:40Z")
    assert list(cluster_events([old, _object()], {}, LEAD, since=21.5)) == []
    assert len(list(cluster_events([old], {}, LEAD, since=20.5))) == 1, "it may have been at the end of its second"
