"""A picture of very many devices, with the devices of a tier as one, and if need be equal racks as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from vdc.graph.picture import Item, Picture, Pod, Rack, Wire


def bundle(picture: Picture, *, racks: bool = False) -> Picture:
    """Return the picture with each tier of a pod or rack as one item; with `racks`, equal neighbours are too."""
    merged: dict[str, str] = {}
    pods = tuple(_pod(number, pod, merged, racks=racks) for number, pod in enumerate(picture.pods))
    return replace(
        picture,
        borders=_merge("borders", picture.borders, merged),
        superspines=_merge("superspines", picture.superspines, merged),
        pods=pods,
        wires=tuple(_wires(picture.wires, merged)),
        cables=tuple(_wires(picture.cables, merged)),
    )


def _pod(number: int, pod: Pod, merged: dict[str, str], *, racks: bool) -> Pod:
    runs = groupby(pod.racks, key=_shape if racks else lambda rack: rack.title)
    return replace(
        pod,
        spines=_merge(f"pod{number}-spines", pod.spines, merged),
        racks=tuple(_racks(tuple(run), merged) for _, run in runs),
    )


def _shape(rack: Rack) -> tuple[object, ...]:
    """Return what racks that are drawn as one have in common."""
    return len(rack.tors), tuple((server.group, server.count, server.hardware) for server in rack.servers)


def _racks(racks: Sequence[Rack], merged: dict[str, str]) -> Rack:
    first, last = racks[0], racks[-1]
    title = first.title if len(racks) == 1 else f"{first.title} … {last.title}: {len(racks):,} racks"
    tors = tuple(tor for rack in racks for tor in rack.tors)
    units: dict[str, list[Item]] = {}
    for server in (server for rack in racks for server in rack.servers):
        units.setdefault(server.group, []).append(server)
    return Rack(
        title=title,
        tors=_merge(f"{first.title}-tors", tors, merged),
        servers=tuple(unit for group in units.values() for unit in _merge(f"{first.title}-servers", group, merged)),
        details="",
    )


def _merge(name: str, items: Sequence[Item], merged: dict[str, str]) -> tuple[Item, ...]:
    """Return the one item that stands for several, and note for each that it is in there."""
    if len(items) < 2:
        return tuple(items)
    first, last = items[0], items[-1]
    group = first.group or first.kind
    one = replace(
        first,
        name=f"{name}-{first.group}" if first.group else name,
        short=f"{sum(item.count for item in items):,} × {group}",
        asn=first.asn if first.asn == last.asn else _from(first.asn),
        addresses=tuple(map(_from, first.addresses)),
        count=sum(item.count for item in items),
    )
    merged.update({item.name: one.name for item in items})
    return (one,)


def _from(text: str) -> str:
    return f"from {text.partition('–')[0].partition(' ')[0]}"


def _wires(wires: Iterable[Wire], merged: Mapping[str, str]) -> Iterator[Wire]:
    """Yield a wire for all between the same two items; what is not standard stays as it is."""
    counts: dict[tuple[str, str, str], int] = {}
    sole: dict[tuple[str, str, str], Wire] = {}
    for wire in wires:
        key = (merged.get(wire.a, wire.a), merged.get(wire.b, wire.b), wire.odd)
        counts[key] = counts.get(key, 0) + wire.count
        sole.setdefault(key, wire)
    for (a, b, odd), count in counts.items():
        wire = sole[a, b, odd]
        labels = wire.labels if count == 1 else ()
        yield Wire(a=a, b=b, labels=labels, odd=odd, details=wire.details if count == 1 else "", count=count)
