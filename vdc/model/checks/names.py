"""Rules of names: each is of one thing, and what is named after it is not too long for the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from vdc.model import addressing
from vdc.model.checks.base import Finding, Survey
from vdc.model.yamltree import Path

INSTANCE_LENGTH: Final = 20
"""How long the name of an instance may be; by default it is the topology's."""

RESERVED: Final = frozenset(
    ("all", "default", "external", "internet", "lo", "node", "oob", "operation", "servers", "topology")
)
"""Names of interfaces, namespaces and networks that are there by themselves."""


def instance_name(survey: Survey) -> Iterator[Finding]:
    """The topology's name can be that of an instance."""
    name = survey.spec.name
    if len(name) > INSTANCE_LENGTH:
        message = f'"{name}" is longer than {INSTANCE_LENGTH} characters: instances are called after it'
        yield Finding(path=("name",), message=message)


def own_names(survey: Survey) -> Iterator[Finding]:
    """Every device has its own name, and every network; none is reserved."""
    seen: dict[str, Path] = dict.fromkeys(survey.routers, ("fabric",))
    for path, names in _named(survey):
        chosen = path[0] in ("devices", "networks")
        if chosen and names[0] in RESERVED:
            yield Finding(path=path, message=f'"{names[0]}" is a reserved name', at_key=True)
        elif (clash := next((name for name in names if name in seen), None)) is not None:
            yield _clash(path, clash, seen[clash])
        seen.update(dict.fromkeys(names, path))


def _named(survey: Survey) -> Iterator[tuple[Path, list[str]]]:
    """Yield each place that names things, with their names; the routers of the fabric are not among them."""
    for path, role, names in _servers(survey):
        yield (*path, "servers", role), names
    for client, path in survey.clients.items():
        yield path, [client]
    yield from ((("devices", name), [name]) for name in survey.spec.devices)
    yield from ((("networks", name), [name]) for name in survey.spec.networks)


def _clash(path: Path, name: str, other: Path) -> Finding:
    message = f'duplicate name "{name}": another device has it already'
    return Finding(path=path, message=message, because=(other,), at_key=path[0] not in ("external", "operation"))


def short_names(survey: Survey) -> Iterator[Finding]:
    """No interface named after a device is longer than the kernel takes; those of the fabric's routers never are."""
    most = max((rack.laid.tors for rack in survey.racks), default=0) - 1 + survey.spec.oob.servers
    for path, role, names in _servers(survey):
        if too_long := _too_long(addressing.tap_name(name, max(0, most)) for name in names):
            yield Finding(path=(*path, "servers", role), message=too_long, at_key=True)
    for name, device in survey.spec.devices.items():
        last = max(0, len(device.interfaces) - 1)
        own = addressing.tap_name(name, last) if device.kind == "server" else addressing.leg_name(name, last)
        if too_long := _too_long((own,)):
            yield Finding(path=("devices", name), message=too_long, at_key=True)
    for name in survey.spec.networks:
        if too_long := _too_long((name,)):
            yield Finding(path=("networks", name), message=too_long, at_key=True)


def _servers(survey: Survey) -> Iterator[tuple[Path, str, list[str]]]:
    """Yield for each entry of the file and each role the names of its servers."""
    names: dict[tuple[Path, str], list[str]] = {}
    for rack in survey.racks:
        for place in rack.laid.places:
            names.setdefault((rack.path, place.role), []).append(place.name)
    for (path, role), each in names.items():
        yield path, role, each


def _too_long(interfaces: Iterable[str]) -> str | None:
    longest = max(interfaces, key=lambda name: (len(name), name), default="")
    if len(longest) <= addressing.IFNAMSIZ:
        return None
    return f'the interface name "{longest}" is longer than {addressing.IFNAMSIZ} characters'
