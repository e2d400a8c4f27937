"""Plans, paths and what was tried of them, as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import fill
from types import MappingProxyType
from typing import Any, Final

from vdc.upgrade.attempts import Tried, latest
from vdc.upgrade.path import UpgradePath, Variant
from vdc.upgrade.plan import Plan
from vdc.upgrade.stages import Stage

NEVER: Final = "never"
_NO_SCENARIO: Final = "no scenario"
_COLUMNS: Final = 100

_MARKS: Final[Mapping[str, str]] = MappingProxyType({"passed": "✓", "failed": "✗", "error": "!"})
_UNSURE: Final = "?"
_BLANK, _PLANNED = "·", "-"


def plan_text(plan: Plan, history: Sequence[Tried]) -> str:
    """Return a plan: what changes, the steps in their order, the point of no return, and what was tried."""
    lines = [f"{plan.origin} → {plan.target}, {plan.path.about if plan.path else _unknown(plan)}"]
    lines += [f"  changes: {', '.join(map(str, plan.changes))}"]
    if plan.path is not None:
        lines += [f"  users may miss: {budgets(plan.path)}"]
        lines += [f"  pods {_pods(plan.path)}"] if plan.path.cluster == "kubernetes" else []
    for number, stage in enumerate(plan.stages, start=1):
        lines += _stage(number, stage)
    lines += [f"  point of no return: {each}" for each in plan.no_return] or ["  no point of no return is known"]
    lines += [f"  tried: {each}" for each in _tried(plan, history)]
    return "".join(f"{_wrapped(line)}\n" for line in lines)


def plan_json(plan: Plan, history: Sequence[Tried]) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "from": plan.origin,
        "to": plan.target,
        "path": plan.path.name if plan.path is not None else None,
        "method": str(plan.method),
        "changes": [{"component": each.component, "from": each.old, "to": each.new} for each in plan.changes],
        "budgets": dict(plan.path.budgets) if plan.path is not None else {},
        "steps": [
            {"do": each.what, "until": each.until, "scope": each.scope, "nodes": [list(batch) for batch in each.nodes]}
            for each in plan.stages
        ],
        "no_return": list(plan.no_return),
        "tried": {
            variant: {"when": each.when, "verdict": each.verdict, "seconds": each.seconds, "topology": each.topology}
            for (path, variant), each in latest(history).items()
            if plan.path is not None and path == plan.path.name
        },
    }


def list_text(paths: Iterable[UpgradePath]) -> str:
    """Return every path: between which releases, how, what changes, what users may miss, and what tries it."""
    return "\n".join(_listed(path) for path in paths)


def coverage_text(paths: Sequence[UpgradePath], history: Sequence[Tried]) -> str:
    """Return the matrix of paths and variants: how the last attempt at each ended, and on which day."""
    last = latest(history)
    variants = [variant for variant in Variant if any(variant in path.variants for path in paths)]
    rows = [("path", *map(str, variants))]
    rows += [(path.name, *(_cell(path, variant, last) for variant in variants)) for path in paths]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    pairs = [f"  {path.origin} → {path.target}" for path in paths]
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in {**_MARKS, "nothing proven": _UNSURE}.items())
    told = [lines[0], *(line for both in zip(lines[1:], pairs, strict=True) for line in both)]
    return "\n".join((*told, "", f"{legend}, with month and day; {_BLANK} never, {_PLANNED} {_NO_SCENARIO} yet", ""))


def _listed(path: UpgradePath) -> str:
    lines = [f"{path.name}: {path.about}", f"  {path.origin} → {path.target}, {path.method}, on {path.topology}"]
    lines += [f"  changes: {', '.join(map(str, path.changes))}", f"  users may miss: {budgets(path)}"]
    lines += [f"  {path.scenario or _NO_SCENARIO}"]
    return "".join(f"{_wrapped(line)}\n" for line in lines)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return fill(line, _COLUMNS, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def budgets(path: UpgradePath) -> str:
    """Return the budgets of a path in words."""
    return ", ".join(f"{name} {seconds:g} s" for name, seconds in path.budgets.items()) or "anything"


def _pods(path: UpgradePath) -> str:
    return "may be moved or restarted" if path.evicts else "run on"


def _stage(number: int, stage: Stage) -> Iterator[str]:
    yield f"  {number}. {stage.what}"
    yield f"     on {stage.scope}" if stage.scope != "once" else "     once"
    yield f"     until {stage.until}"
    if stage.nodes:
        yield f"     {', '.join(' + '.join(batch) for batch in stage.nodes)}"


def _tried(plan: Plan, history: Sequence[Tried]) -> Iterator[str]:
    if plan.path is None:
        yield f"{NEVER}: no row of the paths"
        return
    last = latest(history)
    if plan.path.scenario is None:
        yield f"{NEVER}: {_NO_SCENARIO}"
        return
    for variant in plan.path.variants:
        one = last.get((plan.path.name, variant))
        told = NEVER if one is None else f"{one.verdict} on {_day(one)} in {one.seconds:.0f} s, on {one.topology}"
        yield f"{variant}: {told}"


def _cell(path: UpgradePath, variant: Variant, last: Mapping[tuple[str, str], Tried]) -> str:
    one = last.get((path.name, variant))
    if one is not None:
        return f"{_MARKS.get(one.verdict, _UNSURE)} {_day(one)[5:]}"
    if variant not in path.variants:
        return ""
    return _PLANNED if path.scenario is None else _BLANK


def _day(tried: Tried) -> str:
    return tried.when[:10]


def _unknown(plan: Plan) -> str:
    return f"by {plan.method}: no path of that name, so there are no budgets and no scenario"
