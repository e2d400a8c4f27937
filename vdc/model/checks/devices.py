"""Rules of devices beside the fabric, and of what one device has of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vdc.model import addressing
from vdc.model.checks.addresses import prefixes_of
from vdc.model.checks.base import Finding, Survey
from vdc.model.checks.hardware import users_own
from vdc.model.expand.shape import merge
from vdc.model.spec import DeviceSpec, OverrideSpec, ServerSpec
from vdc.model.yamltree import Path

_TAKES: Final = {
    "server": ("role", "server", "gateways"),
    "client": ("gateways",),
    "router": ("asn", "loopbacks"),
}
_OWN: Final = ("role", "server", "gateways", "asn", "loopbacks")
_OF_ROUTERS: Final = ("asn", "addresses")


def kinds(survey: Survey) -> Iterator[Finding]:
    """A device has the keys of its kind and no others."""
    for name, device in survey.spec.devices.items():
        path: Path = ("devices", name)
        for key in (key for key in _OWN if key in device.model_fields_set and key not in _TAKES[device.kind]):
            message = f"a {device.kind} has no `{key}`"
            yield Finding(path=(*path, key), message=message, because=((*path, "kind"),), at_key=True)
        if device.kind == "client" and not device.interfaces:
            yield Finding(path=path, message="a client needs an interface", because=((*path, "interfaces"),))


def silent(survey: Survey) -> Iterator[Finding]:
    """A server beside the fabric has nobody to announce to."""
    for name, device in survey.spec.devices.items():
        whole = _whole(survey, device)
        for key in ("announces", "pod_blocks"):
            if device.kind == "server" and getattr(whole, key):
                path: Path = ("devices", name, "server", key)
                path = path if device.server is not None and getattr(device.server, key) else ("devices", name, "role")
                message = f"a server beside the fabric has no sessions, and thus no `{key}`"
                yield Finding(path=path, message=message, because=(("devices", name), ("roles",)))


def _whole(survey: Survey, device: DeviceSpec) -> ServerSpec:
    inherited = survey.spec.roles.get(device.role) if device.role is not None else None
    return merge(inherited, device.server)


def configured(survey: Survey) -> Iterator[Finding]:
    """A guest of the user's own image has nothing that only vdc could configure in it."""
    for name, device in survey.spec.devices.items():
        if device.kind == "server" and device.gateways and users_own(_whole(survey, device)):
            path: Path = ("devices", name)
            because = ((*path, "role"), (*path, "server"), ("roles",))
            yield Finding(path=(*path, "gateways"), message=_of_the_user("gateways"), because=because, at_key=True)
    for name, override in survey.spec.overrides.items():
        if name in survey.servers and users_own(survey.servers[name]):
            path = ("overrides", name)
            for key in (key for key in _OF_ROUTERS if getattr(override, key) is not None):
                because = ((*path, "image"), ("racks",), ("roles",))
                yield Finding(path=(*path, key), message=_of_the_user(key), because=because, at_key=True)


def _of_the_user(key: str) -> str:
    return f"a server with an image of `images` configures its network itself: `{key}` would do nothing"


def wires(survey: Survey) -> Iterator[Finding]:
    """An interface is on a network or a wire to a router, and no two are the same."""
    taken: dict[frozenset[str], Path] = {}
    for name, device in survey.spec.devices.items():
        for number, interface in enumerate(device.interfaces):
            path = ("devices", name, "interfaces", number)
            if (interface.network is None) == (interface.link is None):
                wrong = (
                    "has neither `network` nor `link`" if interface.link is None else "has both `network` and `link`"
                )
                because = ((*path, "network"), (*path, "link"))
                yield Finding(path=path, message=f"{wrong}; an interface has one of them", because=because)
            if interface.link is not None:
                yield from _link(name, device, interface.link, path, taken)
    yield from _crowded(survey)


def _link(
    name: str, device: DeviceSpec, router: str, path: Path, taken: dict[frozenset[str], Path]
) -> Iterator[Finding]:
    if device.kind != "router":
        message = f"a {device.kind} is on networks; only routers have wires to routers"
        yield Finding(path=(*path, "link"), message=message, because=(("devices", name, "kind"),), at_key=True)
    ends = frozenset((name, router))
    if ends in taken:
        message = f"there is a wire between {name} and {router} already: its ports are taken"
        yield Finding(path=(*path, "link"), message=message, because=(taken[ends],))
    taken.setdefault(ends, (*path, "link"))


def _crowded(survey: Survey) -> Iterator[Finding]:
    """What is on a network twice would have two ports of one name, where those are named after networks."""
    for name, device in survey.spec.devices.items():
        seen: set[str] = set()
        for number, interface in enumerate(device.interfaces):
            network = interface.network
            named_after = device.kind != "server" or network == addressing.OOB
            if network is not None and network in seen and named_after:
                message = f"{name} is on {network} already"
                yield Finding(path=("devices", name, "interfaces", number, "network"), message=message)
            seen |= {network} if network is not None else set()


def gateways(survey: Survey) -> Iterator[Finding]:
    """A gateway is on a network of the device."""
    for name, device in survey.spec.devices.items():
        for number, gateway in enumerate(device.gateways):
            known = [prefixes_of(survey, each) for each in device.interfaces]
            if None not in known and not any(gateway in prefix for prefixes in known for prefix in prefixes or ()):
                message = f"{gateway} is not on a network of {name}"
                because = (("devices", name, "interfaces"), ("networks",), ("pools",), ("pools6",))
                yield Finding(path=("devices", name, "gateways", number), message=message, because=because)


def overrides(survey: Survey) -> Iterator[Finding]:
    """A router has an AS number and addresses of its own, and no hardware; a server has so many NICs."""
    for name, override in survey.spec.overrides.items():
        path: Path = ("overrides", name)
        if name in survey.routers:
            for key in (key for key in _said(override) if key not in _OF_ROUTERS):
                message = f"a router has no `{key}`"
                yield Finding(path=(*path, key), message=message, because=(("fabric",),), at_key=True)
        if name in survey.servers and override.macs is not None:
            nics = _nics(survey, name)
            if len(override.macs) > nics:
                message = f"{len(override.macs)} MACs for {nics} NICs"
                because = (("fabric", "tors"), ("racks",), ("oob", "servers"))
                yield Finding(path=(*path, "macs"), message=message, because=because)


def _said(override: OverrideSpec) -> Iterator[str]:
    yield from (key for key in (*ServerSpec.model_fields, "macs") if getattr(override, key) is not None)


def _nics(survey: Survey, server: str) -> int:
    tors = next(rack.laid.tors for rack in survey.racks if any(each.name == server for each in rack.laid.places))
    return tors + survey.spec.oob.servers


def macs(survey: Survey) -> Iterator[Finding]:
    """No MAC is given twice."""
    seen: dict[str, Path] = {}
    for path, mac in given_macs(survey):
        if mac in seen:
            message = f"duplicate MAC {mac}: {seen[mac][1]} has it already"
            yield Finding(path=path, message=message, because=(seen[mac],))
        seen.setdefault(mac, path)


def given_macs(survey: Survey) -> Iterator[tuple[Path, str]]:
    """Yield every MAC that the file gives, with its place."""
    for name, override in survey.spec.overrides.items():
        yield from ((("overrides", name, "macs", number), mac) for number, mac in enumerate(override.macs or ()))
    for name, device in survey.spec.devices.items():
        for number, interface in enumerate(device.interfaces):
            if interface.mac is not None:
                yield ("devices", name, "interfaces", number, "mac"), interface.mac
