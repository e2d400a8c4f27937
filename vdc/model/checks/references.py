"""Rules of references: what a file names is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vdc.model.checks.base import Finding, Survey
from vdc.model.releases import names
from vdc.model.words import suggest
from vdc.model.yamltree import Path


def known_release(survey: Survey) -> Iterator[Finding]:
    """The release is one that has an image."""
    release = survey.spec.release
    if release not in names():
        yield Finding(path=("release",), message=f'unknown release "{release}"{suggest(release, names())}')


def known_roles(survey: Survey) -> Iterator[Finding]:
    """Every role that a rack or a device names is defined, and a rack describes only roles that it has."""
    roles = survey.spec.roles
    for entry in survey.entries:
        for role in entry.spec.servers:
            if role not in roles:
                yield _unknown("role", role, roles, (*entry.path, "servers", role), at_key=True)
        for role in entry.spec.roles:
            if role not in entry.spec.servers:
                message = f'there is no server of the role "{role}" in this rack{suggest(role, entry.spec.servers)}'
                because = ((*entry.path, "servers"),)
                yield Finding(path=(*entry.path, "roles", role), message=message, because=because, at_key=True)
    for name, device in survey.spec.devices.items():
        if device.role is not None and device.role not in roles:
            yield _unknown("role", device.role, roles, ("devices", name, "role"))


def known_images(survey: Survey) -> Iterator[Finding]:
    """Every image of a server or volume is one of the file's own, or the release."""
    spec = survey.spec
    known = {**dict.fromkeys(spec.images), spec.release: None}
    for path, server in survey.hardware:
        if server.image is not None and server.image not in known:
            yield _image(server.image, known, (*path, "image"))
        for number, volume in enumerate(server.volumes or ()):
            if volume.image is not None and volume.image not in spec.images:
                yield _unknown("image", volume.image, spec.images, (*path, "volumes", number, "image"))


def _image(name: str, known: dict[str, None], path: Path) -> Finding:
    if name in names():
        message = "all servers have the release of the topology; another image is one of `images`"
        return Finding(path=path, message=message, because=(("release",),))
    return _unknown("image", name, known, path, "images")


def known_device_classes(survey: Survey) -> Iterator[Finding]:
    """Every device class of a volume is defined."""
    classes = survey.spec.device_classes
    for path, server in survey.hardware:
        for number, volume in enumerate(server.volumes or ()):
            if volume.device_class is not None and volume.device_class not in classes:
                place = (*path, "volumes", number, "device_class")
                yield _unknown("device class", volume.device_class, classes, place, "device_classes")


def known_networks(survey: Survey) -> Iterator[Finding]:
    """Every network and every router that a device has a wire to is there."""
    for name, device in survey.spec.devices.items():
        for number, interface in enumerate(device.interfaces):
            path = ("devices", name, "interfaces", number)
            if interface.network is not None and interface.network not in survey.networks:
                known = sorted(survey.networks)
                yield _unknown("network", interface.network, known, (*path, "network"), "networks", "fabric", "racks")
            if interface.link is not None:
                yield from _linked(survey, name, interface.link, (*path, "link"))


def _linked(survey: Survey, device: str, router: str, path: Path) -> Iterator[Finding]:
    own = [name for name, each in survey.spec.devices.items() if each.kind == "router" and name != device]
    routers = (*survey.routers, *own)
    if router not in routers:
        yield _unknown("router", router, routers, path, "fabric", "racks", "devices")


def known_overrides(survey: Survey) -> Iterator[Finding]:
    """What is overridden is a router or server of the fabric."""
    spec = survey.spec
    for name in spec.overrides:
        path = ("overrides", name)
        if name in spec.devices:
            message = f"says itself what it is, at devices.{name}"
            yield Finding(path=path, message=message, because=(("devices",),), at_key=True)
        elif name in survey.clients and name not in survey.routers:
            message = "is a client, which has nothing to override"
            yield Finding(path=path, message=message, because=(survey.clients[name],), at_key=True)
        elif name not in survey.routers and name not in survey.servers:
            known = (*survey.routers, *survey.servers)
            yield _unknown("device", name, known, path, "fabric", "racks", at_key=True)


def _unknown(what: str, word: str, known: Collection[str], path: Path, *because: str, at_key: bool = False) -> Finding:
    defined = because or (f"{what}s",)
    return Finding(
        path=path,
        message=f'unknown {what} "{word}"{suggest(word, known)}',
        because=(*((key,) for key in defined), *((key, word) for key in defined)),
        at_key=at_key,
    )
