"""Plans, states and findings as text for a terminal. Pure: data in, text out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdc.cli.doctor import Finding
    from vdc.datacenter.status import Status
    from vdc.model.topology import Topology
    from vdc.plan.plan import Plan
    from vdc.plan.resources import Resource

_MIB = 1024**2
_NAMES_WIDTH = 90
_MARKS = {True: "ok", False: "NO", None: "-"}


def plan_text(plan: Plan) -> str:
    """Return a plan as a page: totals, devices, then every resource by kind."""
    kinds = Counter(item.id.partition(":")[0] for item in plan.resources)
    totals = (
        f"{plan.instance}: topology {plan.topology.name}, release {plan.topology.release}, "
        f"digest {plan.digest[:12]}\n"
        f"{len(plan.resources)} resources, {plan.vcpus} vCPUs, {plan.memory // _MIB} MiB memory, "
        f"{plan.disk // _MIB} MiB disk, {plan.context.accelerator}"
    )
    resources = [
        row
        for kind, count in kinds.items()
        for row in _wrapped(f"{kind} x{count}", (item.id for item in plan.resources if _is(item, kind)))
    ]
    return "\n\n".join(
        (
            totals,
            table(("device", "kind", "address", "ASN"), devices(plan.topology)),
            table(("resource", "names"), resources),
        )
    )


def devices(topology: Topology) -> list[tuple[str, str, str, str]]:
    """Return a row for each device: its name, kind, address and AS number."""
    return [
        *((r.name, r.tier.value, str(r.loopback.ip), str(r.asn)) for r in topology.routers),
        *((s.name, f"server ({s.role})", str(s.node.ip), str(s.asn)) for s in topology.servers),
        *((e.name, "external", str(e.address.ip), "") for e in topology.externals),
    ]


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


def _wrapped(kind: str, ids: Iterable[str]) -> list[tuple[str, str]]:
    names = " ".join(each.partition(":")[2] or "-" for each in ids)
    # names have dashes, at which a line must not break
    lines = textwrap.wrap(names, width=_NAMES_WIDTH, break_on_hyphens=False)
    return [(kind if number == 0 else "", line) for number, line in enumerate(lines)]


def _is(item: Resource, kind: str) -> bool:
    return item.id.partition(":")[0] == kind
