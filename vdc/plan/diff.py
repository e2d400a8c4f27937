"""What differs between two plans of a data centre: for people by device, for `vdc apply` by resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from vdc.model.hardware import Volume
from vdc.model.topology import End, External, Link, Router, Segment, Server, ServerPort, Topology
from vdc.plan.plan import Plan
from vdc.plan.resources import Resource

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Device = Router | Server | External | Link | Segment
Verdict = Literal["added", "removed", "changed"]

NONE: Final = "none"
"""How a value that is not there is shown."""

WHOLE: Final = "data centre"
"""The kind of what holds everywhere."""

_TOO_LONG: Final = 60

# what only mirrors the cables, which are devices of their own here
_MIRRORED: Final = frozenset({"interfaces", "sessions", "index", "name", "device", "interface"})
# what is a device of its own, or would repeat its kind
_COLLECTIONS: Final = frozenset({"routers", "servers", "externals", "links", "segments"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """A field, by its path such as `hardware.numa`, with its old and its new value as text."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.field}: {self.old} → {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDiff:
    """A device, link or network that came, went, or has other `fields`.

    `kind` is a router's tier, "server", "client", "link", "network" or, for what holds everywhere, "data centre".
    `rack` is the rack it stands in, `ends` are the devices that a link or network connects. Cables are told of once, as
    links, and not again at both their ends.
    """

    verdict: Verdict
    kind: str
    name: str
    rack: int | None = None
    ends: tuple[str, ...] = ()
    fields: tuple[FieldDiff, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What must be made, unmade and remade to bring one plan to another; `changed` are pairs of old and new.

    `devices` tell the same to people: in the order of the topology, those that went last.
    """

    devices: tuple[DeviceDiff, ...]
    added: tuple[Resource, ...]
    removed: tuple[Resource, ...]
    changed: tuple[tuple[Resource, Resource], ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.devices or self.added or self.removed or self.changed)

    def of(self, verdict: Verdict) -> tuple[DeviceDiff, ...]:
        """Return the devices that were added, removed or changed."""
        return tuple(each for each in self.devices if each.verdict == verdict)


def diff(old: Plan, new: Plan) -> Diff:
    """Return what differs between two plans of the same instance."""
    before = {item.id: item for item in old.resources}
    after = {item.id: item for item in new.resources}
    return Diff(
        devices=tuple(device_diffs(old.topology, new.topology)),
        added=tuple(item for rid, item in after.items() if rid not in before),
        removed=tuple(item for rid, item in before.items() if rid not in after),
        changed=tuple((before[rid], item) for rid, item in after.items() if rid in before and before[rid] != item),
    )


def device_diffs(old: Topology, new: Topology) -> Iterator[DeviceDiff]:
    """Yield the devices that differ between two topologies."""
    changes = tuple(_field_diffs(old, new, skipped=_COLLECTIONS))
    if changes:
        yield DeviceDiff(verdict="changed", kind=WHOLE, name=new.name, fields=changes)
    before, after = dict(_devices(old)), dict(_devices(new))
    for key, (rack, device) in after.items():
        if key not in before:
            yield DeviceDiff(verdict="added", kind=key[0], name=key[1], rack=rack, ends=_ends(device))
        elif device != before[key][1] and (found := tuple(_field_diffs(before[key][1], device))):
            yield DeviceDiff(verdict="changed", kind=key[0], name=key[1], rack=rack, ends=_ends(device), fields=found)
    for key, (rack, device) in before.items():
        if key not in after:
            yield DeviceDiff(verdict="removed", kind=key[0], name=key[1], rack=rack, ends=_ends(device))


def link_name(link: Link) -> str:
    """Return `spine0 to rack0-tor0`; an interface that is not called by its peer is named: `fw:wan to border0`."""
    return " to ".join(
        end.device if end.interface == other.device else f"{end.device}:{end.interface}"
        for end, other in ((link.a, link.b), (link.b, link.a))
    )


def _devices(topology: Topology) -> Iterator[tuple[tuple[str, str], tuple[int | None, _Device]]]:
    """Yield kind and name of each device, with its rack and itself."""
    racks = {name: rack for each in (topology.routers, topology.servers) for name, rack in _racks(each)}
    yield from (((router.tier.value, router.name), (router.rack, router)) for router in topology.routers)
    yield from ((("server", server.name), (server.rack, server)) for server in topology.servers)
    yield from ((("client", client.name), (None, client)) for client in topology.externals)
    yield from ((("link", link_name(link)), (racks.get(link.b.device), link)) for link in topology.links)
    yield from ((("network", each.name), (racks.get(each.name), each)) for each in topology.segments)


def _ends(device: _Device) -> tuple[str, ...]:
    match device:
        case Link(a=a, b=b):
            return a.device, b.device
        case Segment(ports=ports):
            return tuple(port.device for port in ports)
        case _:
            return ()


def _racks(devices: Iterable[Router | Server]) -> Iterator[tuple[str, int | None]]:
    yield from ((each.name, each.rack) for each in devices)


def _field_diffs(
    old: DataclassInstance, new: DataclassInstance, path: str = "", *, skipped: frozenset[str] = _MIRRORED
) -> Iterator[FieldDiff]:
    """Yield the fields in which two of the same class differ, down to the smallest."""
    for each in fields(new):
        before, after = getattr(old, each.name), getattr(new, each.name)
        if before != after and each.name not in skipped:
            yield from _value_diffs(before, after, f"{path}{each.name}")


def _value_diffs(old: object, new: object, path: str) -> Iterator[FieldDiff]:
    if _is_part(old) and _is_part(new) and type(old) is type(new):
        yield from _field_diffs(old, new, f"{path}.", skipped=frozenset())
    elif (before := _keyed(old)) is not None and (after := _keyed(new)) is not None:
        yield from _element_diffs(before, after, path)
    else:
        name = path.rpartition(".")[2]
        yield FieldDiff(field=path, old=_shown(old, name), new=_shown(new, name))


def _element_diffs(
    old: Mapping[str, DataclassInstance], new: Mapping[str, DataclassInstance], path: str
) -> Iterator[FieldDiff]:
    """Yield what differs in the elements of a sequence, known by their names."""
    for key in (*new, *(key for key in old if key not in new)):
        before, after = old.get(key), new.get(key)
        if before is not None and after is not None:
            yield from _field_diffs(before, after, f"{path}.{key}.")
        elif not isinstance(before or after, End):  # a device on a network is told of by itself
            there = [NONE if each is None else "there" for each in (before, after)]
            yield FieldDiff(field=f"{path}.{key}", old=there[0], new=there[1])


def _keyed(values: object) -> Mapping[str, DataclassInstance] | None:
    """Return the elements of a sequence by the names they have; None if it is no such sequence."""
    if not isinstance(values, tuple) or not all(type(each) in _KEYS for each in values):
        return None
    return {_KEYS[type(each)](each): each for each in values}


_KEYS: Final[Mapping[type, Callable[..., str]]] = MappingProxyType(
    {
        End: lambda end: f"{end.device}:{end.interface}",
        ServerPort: lambda port: port.interface,
        Volume: lambda volume: volume.name,
    }
)


def _is_part(value: object) -> TypeGuard[DataclassInstance]:
    return is_dataclass(value) and not isinstance(value, type)


def _shown(value: object, name: str) -> str:
    """Return the value of the field `name` as text."""
    if value is None or value in ((), ""):
        return NONE
    if isinstance(value, tuple):
        return ", ".join(_shown(each, name) for each in value)
    if _is_part(value):
        return _parts(value)
    if isinstance(value, str):
        return value if len(value) <= _TOO_LONG and "\n" not in value else f"{len(value)} characters"
    return _UNITS.get(name, str)(value)


def _parts(value: DataclassInstance) -> str:
    """Return what of a small object is not as it is by default."""
    told = [(each.name, getattr(value, each.name), each.default) for each in fields(value)]
    return ", ".join(f"{name} {_shown(part, name)}" for name, part, default in told if part != default) or "default"


def _size(value: int) -> str:
    return f"{value / (1 << 20):g} MiB"


def _duration(value: float) -> str:
    return f"{value * 1000:g} ms"


_UNITS: Final[Mapping[str, Callable[..., str]]] = MappingProxyType(
    {
        **dict.fromkeys(("memory", "data", "size", "read_bytes", "write_bytes"), _size),
        **dict.fromkeys(("delay", "jitter", "interval"), _duration),
        "loss": lambda share: f"{share * 100:g} %",
        "rate": lambda rate: f"{rate / 1e6:g} Mbit/s" if rate else "unlimited",
    }
)
"""How the values of fields that have a unit are shown."""
