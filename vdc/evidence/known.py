"""The secrets of a data centre that can be known: what its own files hold, and its cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import VdcError
from vdc.evidence.redaction import Redactor, secrets_of
from vdc.evidence.sources import files_with_secrets, kubernetes
from vdc.history import Event

_TOLD_INSIDE: Final = frozenset({"cluster", "console", "journal", "note"})
"""Kinds of events that repeat what somebody inside said."""

_SAID: Final = ("line", "message", "text", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Takes out what is known of a data centre; `lacking` tells which secrets could not be asked for, and why."""

    redactor: Redactor
    lacking: tuple[str, ...] = ()


def known(dc: DataCenter) -> Known:
    """Return what takes out the secrets of a data centre as they are now; it never fails."""
    found: list[str] = []
    lacking: list[str] = []
    try:
        for path in files_with_secrets(dc.run_directory):
            try:
                found.append(path.read_text(encoding="utf-8", errors="replace"))
            except OSError as error:
                lacking.append(str(error))
    except OSError as error:
        lacking.append(str(error))
    if dc.topology.kubernetes is not None:
        try:
            cluster = kubernetes(dc)
            secrets = cluster.list("Secret") if cluster is not None else ()
            found += secrets_of({"kind": "Secret", **each} for each in secrets)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a cluster, the rest is known
            lacking.append(f"Secrets of the cluster: {error if isinstance(error, VdcError) else repr(error)}")
    return Known(redactor=Redactor().knowing(found), lacking=tuple(lacking))


def redacted(dc: DataCenter, events: Iterable[Event]) -> list[Event]:
    """Return events without secrets in what guests and their cluster said."""
    told = list(events)
    if not any(event.kind in _TOLD_INSIDE for event in told):
        return told
    redactor = known(dc).redactor
    return [_clean(event, redactor) if event.kind in _TOLD_INSIDE else event for event in told]


def _clean(event: Event, redactor: Redactor) -> Event:
    said = {name: redactor.redact(text)[0] for name in _SAID if isinstance(text := event.data.get(name), str)}
    return replace(event, data={**event.data, **said})
