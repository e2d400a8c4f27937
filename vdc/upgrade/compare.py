"""What is another way than it was: settings, firewall, routes, units. Pure.

Each difference needs a reason: an entry of the path's allow-list that names it. What has none is told as a diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vdc.observe.verdict import Kind, Verdict
from vdc.upgrade.path import Allowed

ABSENT: Final = "(none)"

_SHOWN: Final = 40  # lines
_FAILED: Final = ", failed"
"""How a unit ends, as `vdc.upgrade.looking` tells it, that systemd has given up (systemctl(1), ACTIVE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A thing of a server that is `now` another way than it was `then`.

    `between` says which two were compared; `fresh` that `then` is a fresh install of what it is `now`.
    """

    server: str
    between: str
    fresh: bool
    kind: str
    name: str
    then: str
    now: str


Things = Mapping[str, Mapping[str, str]]


def differences(server: str, between: str, then: Things, now: Things, *, fresh: bool = False) -> tuple[Difference, ...]:
    """Return what differs between two looks at a server, or at two servers that should be alike."""
    return tuple(
        Difference(server=server, between=between, fresh=fresh, kind=kind, name=name, then=old, now=new)
        for kind in sorted(then.keys() | now.keys())
        for name in sorted(then.get(kind, {}).keys() | now.get(kind, {}).keys())
        if (old := then.get(kind, {}).get(name, ABSENT)) != (new := now.get(kind, {}).get(name, ABSENT))
    )


def unexplained(found: Iterable[Difference], allowed: Sequence[Allowed]) -> tuple[Difference, ...]:
    """Return the differences that no entry of an allow-list names, and units that failed: nothing explains those."""
    return tuple(each for each in found if _failed(each) or not any(_explains(entry, each) for entry in allowed))


def _failed(difference: Difference) -> bool:
    """Return whether it is that a unit failed which had not: an entry that names a unit says how it may be enabled."""
    then, now = (state.endswith(_FAILED) for state in (difference.then, difference.now))
    return difference.kind == "unit" and now and not then


def _explains(entry: Allowed, difference: Difference) -> bool:
    than = entry.fresh if difference.fresh else entry.before
    return than and entry.covers(difference.kind, difference.name)


def as_it_should_be(found: Sequence[Difference], allowed: Sequence[Allowed], *, looked: int) -> Verdict:
    """Judge whether each difference is explained. `looked` is how many things were compared: none prove nothing."""
    wrong = unexplained(found, allowed)
    figures = {"compared": float(looked), "different": float(len(found)), "unexplained": float(len(wrong))}
    if wrong:
        kind, message = Kind.INVALID, f"{len(wrong)} differences without a reason:\n{readable(wrong)}"
    elif not looked:
        kind, message = Kind.UNKNOWN, "nothing was compared"
    else:
        kind, message = Kind.VALID, f"{len(found)} of {looked} things differ, each for a reason of the allow-list"
    return Verdict(kind=kind, checker="as_it_should_be", message=message, figures=figures)


def readable(found: Sequence[Difference]) -> str:
    """Return differences as a diff: those that several servers share stand once."""
    lines: list[str] = []
    shared: dict[tuple[str, str, str, str, str], list[str]] = {}
    for each in found:
        shared.setdefault((each.between, each.kind, each.name, each.then, each.now), []).append(each.server)
    head = ""
    for (between, kind, name, then, now), servers in sorted(shared.items()):
        this = f"  {', '.join(servers)}: {between}"
        if this != head:
            lines.append(this)
            head = this
        lines += [f"    {kind} {name}", f"    - {then}", f"    + {now}"]
    more = len(lines) - _SHOWN
    return "\n".join([*lines[:_SHOWN], *([f"  … and {more} lines more"] if more > 0 else [])])
