"""What differs between two plans, as text for a terminal. Pure: data in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from vdc.plan.diff import DeviceDiff, Diff, Verdict
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.processes import Bird

NOTHING: Final = "nothing to change"

_SIGNS: Final[Mapping[Verdict, str]] = MappingProxyType({"added": "+", "removed": "-", "changed": "~"})
_SHOWN, _FIELDS = 40, 6


def diff_text(found: Diff) -> str:
    """Return a line for each device that comes (`+`), goes (`-`) or changes (`~`), then what is told of it.

    Links and networks that come or go with a device at one of their ends are counted, not listed.
    """
    if found.empty:
        return NOTHING
    lines = [line for verdict in _SIGNS for line in _lines(found.of(verdict))]
    return "\n".join((*lines, *_told(found)))


def _lines(devices: tuple[DeviceDiff, ...]) -> Iterator[str]:
    """Yield lines for devices of the same verdict, up to a limit, then the numbers of those that are not listed."""
    names = {each.name for each in devices if not each.ends}
    listed = [each for each in devices if each.fields or names.isdisjoint(each.ends)]
    counted = Counter(each.kind for each in devices if not each.fields and not names.isdisjoint(each.ends))
    for each in listed[:_SHOWN]:
        yield f"{_SIGNS[each.verdict]} {each.kind} {each.name}{_fields(each)}"
    if len(listed) > _SHOWN:
        yield f"{_SIGNS[listed[0].verdict]} … and {len(listed) - _SHOWN} more"
    for kind, count in counted.items():
        yield f"{_SIGNS[devices[0].verdict]} {_plural(count, kind)}"


def _fields(device: DeviceDiff) -> str:
    more = len(device.fields) - _FIELDS
    return "".join(
        (
            *(f"\n    {field}" for field in device.fields[:_FIELDS]),
            f"\n    … and {more} more" if more > 0 else "",
        )
    )


def _told(found: Diff) -> Iterator[str]:
    """Yield what else is touched: routers and servers that are told of it."""
    kinds = {"router": Bird, "server": ConfigDisk}
    told = [
        _plural(count, name)
        for name, kind in kinds.items()
        if (count := _count(new for _, new in found.changed if isinstance(new, kind)))
    ]
    if told:
        yield f"{' and '.join(told)} told of it"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _count(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def resources_text(found: Diff) -> Iterator[str]:
    """Yield how many resources of each kind come, go or change, if any do."""
    parts: tuple[tuple[Verdict, Iterable[Resource]], ...] = (
        ("added", found.added),
        ("removed", found.removed),
        ("changed", (new for _, new in found.changed)),
    )
    kinds = {verdict: Counter(item.id.partition(":")[0] for item in items) for verdict, items in parts}
    told = [f"{_SIGNS[verdict]}{count} {kind}" for verdict, counts in kinds.items() for kind, count in counts.items()]
    if told:
        yield f"resources: {', '.join(told)}"
