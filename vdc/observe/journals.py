"""What guests' journals and the objects of a cluster tell, as events of the history. Pure.

The journal's fields are those of systemd.journal-fields(7) and its JSON export. Which member leads is in etcd's log
(raft/raft.go, raft/node.go of etcd 3.4 and 3.5). An Event of Kubernetes has its time in one of three fields, of which
only `eventTime` is finer than a second (kubernetes.io, API reference, "Event v1").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from vdc.cluster.etcd_config import UNIT
from vdc.history import Event
from vdc.observe.clocks import Clock

LINES: Final = 800
"""Of a journal, the latest."""

QUESTION: Final = (
    "journalctl", "--output=json", "--no-pager", "--quiet", f"--lines={LINES}",
    "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT",
)  # fmt: skip
_ETCD: Final = ("etcd.service", UNIT)
"""The units of etcd: below a Kubernetes, and alone."""

WANTED: Final = (
    *(f"PRIORITY={level}" for level in range(5)), "+", "_PID=1",
    *(word for unit in _ETCD for word in ("+", f"_SYSTEMD_UNIT={unit}")),
)  # fmt: skip
"""Matches of journalctl(1): what is a warning or worse, what systemd says of units, and etcd's log."""

_LEADER: Final = re.compile(r"(?:elected leader|became leader|lost leader|changed leader)\b.*")
_CHARACTERS: Final = 400
_WARNING, _INFORMATION = 4, 6  # of syslog(3)


def journal_events(text: str, server: str, clock: Clock, lead: float) -> Iterator[Event]:
    """Yield what a guest's journal, in JSON, tells; changes of etcd's leader are events of the cluster.

    `lead` is by how much the host's wall clock leads its monotonic clock.
    """
    for raw in filter(None, map(_line, text.splitlines())):
        message, priority = _text(raw.get("MESSAGE")), int(_text(raw.get("PRIORITY")) or _INFORMATION)
        time, uncertainty = clock.placed(int(raw["__REALTIME_TIMESTAMP"]) / 1e6, lead)
        data: dict[str, Any] = {"text": message[:_CHARACTERS], "uncertainty": round(uncertainty, 4)}
        of_etcd = _text(raw.get("_SYSTEMD_UNIT")) in _ETCD
        if of_etcd and (change := _LEADER.search(message)):
            yield Event(time=time, kind="cluster", source=server, data={**data, "name": "leader", "text": change[0]})
        elif priority <= _WARNING or not of_etcd:
            who = _text(raw.get("SYSLOG_IDENTIFIER")) or "?"
            yield Event(time=time, kind="journal", source=server, data={**data, "who": who, "priority": priority})


def cluster_events(
    objects: Iterable[Mapping[str, Any]], clocks: Mapping[str, Clock], lead: float, *, since: float
) -> Iterator[Event]:
    """Yield the Events of Kubernetes that came since then (host monotonic seconds), by the clock of who tells it."""
    for each in objects:
        stamp = each.get("eventTime") or each.get("lastTimestamp") or each["metadata"].get("creationTimestamp")
        if not stamp:
            continue
        wall = datetime.fromisoformat(str(stamp).replace("Z", "+00:00")).timestamp()
        source = each.get("source") or {}
        clock = clocks.get(str(source.get("host") or each.get("reportingInstance") or ""))
        time, uncertainty = clock.placed(wall, lead) if clock is not None else (wall - lead, 0.0)
        coarse = 0.0 if each.get("eventTime") else 1.0
        if time + coarse < since:
            continue
        about = each.get("involvedObject") or {}
        name = "/".join(str(about[part]) for part in ("kind", "namespace", "name") if about.get(part))
        yield Event(
            time=time,
            kind="cluster",
            source=str(source.get("component") or each.get("reportingComponent") or "kubernetes"),
            data={
                "name": str(each.get("reason", "")),
                "text": f"{name}: {each.get('message') or each.get('note') or ''}"[:_CHARACTERS],
                "uncertainty": round(uncertainty + coarse, 4),
                **({"bad": True} if each.get("type") == "Warning" else {}),
            },
        )


def _line(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "__REALTIME_TIMESTAMP" in found else None


def _text(field: object) -> str:
    """Return a field: what is no UTF-8 comes as a list of bytes, what an entry has more than once as one of all."""
    if not isinstance(field, list):
        return "" if field is None else str(field)
    if all(isinstance(each, int) for each in field):
        return bytes(field).decode(errors="replace")
    return _text(field[-1])
