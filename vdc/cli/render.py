"""States and findings as text for a terminal. Pure: data in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdc.cli.doctor import Finding
    from vdc.datacenter.status import Status
    from vdc.datacenter.stay import Stay

_MARKS = {True: "ok", False: "NO", None: "-"}


def status_text(status: Status) -> str:
    """Return the state of a data centre as a page."""
    head = f"{status.name} ({status.topology}): {status.state}"
    reasons = [f"  {reason}" for reason in status.reasons]
    rows = [(row.name, row.kind, row.state, row.detail.partition("\n")[0]) for row in status.rows]
    return "\n".join((head, *reasons, "", table(("device", "kind", "state", "detail"), rows)))


def status_json(status: Status) -> dict[str, Any]:
    """Return the state of a data centre as plain JSON."""
    return {
        "name": status.name,
        "topology": status.topology,
        "state": status.state,
        "reasons": list(status.reasons),
        "devices": [
            {"name": row.name, "kind": row.kind, "state": row.state, "detail": row.detail} for row in status.rows
        ],
    }


def crashed_json(name: str) -> dict[str, Any]:
    """Return the state of a data centre of which nothing but its name is known, as plain JSON."""
    return {
        "name": name,
        "topology": None,
        "state": "down",
        "reasons": ["left by a crash"],
        "devices": [],
    }


def stays_text(rows: Iterable[tuple[str, bool, Sequence[Stay]]]) -> str:
    """Return a line for each data centre: its name, whether it is up, and what its stays say; empty without any."""
    lines = [
        (name, "up" if is_up else "not up", "; ".join(map(_stay_text, stays)) or "no end")
        for name, is_up, stays in rows
    ]
    return table(("data centre", "state", "stays"), lines) if lines else ""


def _stay_text(stay: Stay) -> str:
    word = {"hold": "held", "ttl": "goes"}[stay.kind]
    return f"{word} until {stay.ends} ({stay.left / 60:.0f} min): {stay.why}".partition("\n")[0]


def findings_text(findings: Iterable[Finding]) -> str:
    """Return a line for each finding."""
    return table(("", "what", "detail"), [(_MARKS[item.ok], item.what, item.detail) for item in findings])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns as wide as their longest cell; the last column is ragged."""
    every = (head, *rows)
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every
    )
