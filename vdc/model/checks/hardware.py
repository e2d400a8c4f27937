"""Rules of servers: what they have can be built, and what configures them fits their image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vdc.model import addressing
from vdc.model.checks.base import Finding, Survey
from vdc.model.expand.hardware import DEFAULT_MEMORY, make_smp
from vdc.model.expand.shape import merge
from vdc.model.releases import names
from vdc.model.spec import LATER, ServerSpec, SmpSpec, VolumeSpec
from vdc.model.yamltree import Path

_SMP: Final = ("sockets", "dies", "cores", "threads")
_MIB: Final = 1 << 20
_SEEDS: Final = ("user_data", "network_config", "ignition")
_NEEDS: Final = {"image": ("image",), "raw": ("size",), "empty": ("size",), "folder": ("path",)}
_TAKES: Final = {
    "image": ("image", "overlay", "size"),
    "raw": ("size",),
    "empty": ("size",),
    "folder": ("path",),
}
_EVERY: Final = ("name", "kind", "count", "writable")
_DISK: Final = ("bus", "cache", "serial", "limits", "device_class")


def later(survey: Survey) -> Iterator[Finding]:
    """Nothing is asked for that is not built yet."""
    for path, server in survey.hardware:
        for key, reason in LATER.items():
            if getattr(server, key):
                yield Finding(path=(*path, key), message=reason)


def cpus(survey: Survey) -> Iterator[Finding]:
    """CPUs are counted in one way, and the arithmetic of sockets, dies, cores and threads comes out."""
    for path, server in survey.hardware:
        if server.cpu is not None and server.smp is not None:
            message = "either `cpu` or `smp`, not both"
            yield Finding(path=(*path, "smp"), message=message, because=((*path, "cpu"),), at_key=True)
        if server.smp is not None and (wrong := _arithmetic(server.smp)):
            yield Finding(path=(*path, "smp"), message=wrong)


def _arithmetic(smp: SmpSpec) -> str | None:
    given = {name: getattr(smp, name) for name in _SMP if name in smp.model_fields_set}
    shown = " x ".join(f"{value} {name}" for name, value in given.items())
    if smp.cpus is None and smp.maxcpus is None and (smp.sockets is None and smp.cores is None):
        return "needs `cpus`, or `sockets` and `cores`"
    if smp.cpus is not None and smp.maxcpus is not None and smp.cpus > smp.maxcpus:
        return f"{smp.cpus} cpus are more than maxcpus, {smp.maxcpus}"
    made, whole = make_smp(smp).maxcpus, smp.sockets is not None and smp.cores is not None
    if smp.maxcpus is not None and made != smp.maxcpus:
        return f"{shown} does not make {smp.maxcpus} maxcpus"
    if smp.cpus is not None and (made < smp.cpus or (smp.maxcpus is None and not whole and made != smp.cpus)):
        return f"{shown} does not make {smp.cpus} cpus"
    return None


def numa(survey: Survey) -> Iterator[Finding]:
    """NUMA nodes are equal: they share out CPUs and memory evenly."""
    for path, server, whole in _wholes(survey):
        if whole.numa is None or whole.numa < 2:
            continue
        key = "numa" if server.numa is not None else "smp" if server.smp is not None else "cpu"
        place = (*path, key)
        because = (*((*path, each) for each in ("cpu", "smp", "memory", "numa")), ("roles",))
        cpus = cpu_count(whole)
        if cpus % whole.numa:
            message = f"{cpus} CPUs cannot be shared out evenly to {whole.numa} NUMA nodes"
            yield Finding(path=place, message=message, because=because)
        memory = whole.memory or DEFAULT_MEMORY
        if memory % (whole.numa * _MIB):
            message = f"{memory // _MIB}MiB of memory cannot be shared out evenly to {whole.numa} NUMA nodes"
            place = place if server.memory is None else (*path, "memory")
            yield Finding(path=place, message=message, because=because)


def cpu_count(server: ServerSpec) -> int:
    """Return how many CPUs a server can come to have."""
    return (server.cpu or 1) if server.smp is None else make_smp(server.smp).maxcpus


def seeds(survey: Survey) -> Iterator[Finding]:
    """Only a guest of the user's own image is configured by the user."""
    for path, server, whole in (*_wholes(survey), *_completed(survey)):
        own = users_own(whole)
        for key in (key for key in _SEEDS if getattr(server, key) is not None and not own):
            message = "only for a server with an image of `images`; one with a release is configured by vdc"
            because = ((*path, "image"), ("roles",))
            yield Finding(path=(*path, key), message=message, because=because, at_key=True)
        if server.network_config is not None and whole.user_data is None:
            message = "needs `user_data`: both make one NoCloud disk"
            because = ((*path, "user_data"), ("roles",))
            yield Finding(path=(*path, "network_config"), message=message, because=because, at_key=True)
        if own and server.data is not None and (server.image is not None or path[0] != "roles"):
            message = "a server with an image of `images` has no data disk; give it `volumes`"
            yield Finding(path=(*path, "data"), message=message, because=((*path, "image"),), at_key=True)
        if own and (whole.announces or whole.pod_blocks):
            key = next((each for each in ("announces", "pod_blocks") if getattr(server, each)), "image")
            message = "a server with an image of `images` announces nothing: its routing is the user's own"
            because = ((*path, "image"), ("roles",))
            yield Finding(path=(*path, key), message=message, because=because, at_key=True)


def _wholes(survey: Survey) -> Iterator[tuple[Path, ServerSpec, ServerSpec]]:
    """Yield for each place that describes servers what it says, and what such a server has in all."""
    roles = survey.spec.roles
    yield from ((("roles", role), server, server) for role, server in _plain(survey))
    for entry in survey.entries:
        for role, server in entry.spec.roles.items():
            yield (*entry.path, "roles", role), server, merge(roles.get(role), server)
    for name, device in survey.spec.devices.items():
        if device.server is not None:
            base = roles.get(device.role) if device.role is not None else None
            yield ("devices", name, "server"), device.server, merge(base, device.server)
    for name, override in survey.spec.overrides.items():
        if name in survey.servers:
            yield ("overrides", name), override, survey.servers[name]


def _plain(survey: Survey) -> Iterator[tuple[str, ServerSpec]]:
    """Yield the roles that are said wholly in their own place: not those to which every rack adds something."""
    completed = {path[1] for path, _, _ in _completed(survey)}
    plain = {role for entry in survey.entries for role in entry.spec.servers if role not in entry.spec.roles}
    yield from ((role, spec) for role, spec in survey.spec.roles.items() if role in plain or role not in completed)


def _completed(survey: Survey) -> Iterator[tuple[Path, ServerSpec, ServerSpec]]:
    """Yield the same for each role to which racks add something."""
    for entry in survey.entries:
        for role, server in entry.spec.roles.items():
            if (base := survey.spec.roles.get(role)) is not None:
                yield ("roles", role), base, merge(base, server)


def volumes(survey: Survey) -> Iterator[Finding]:
    """Each volume has the keys of its kind and no others, and a name of its own."""
    for path, server in survey.hardware:
        seen: dict[str, Path] = {}
        for number, volume in enumerate(server.volumes or ()):
            place = (*path, "volumes", number)
            yield from _volume(volume, place)
            for name in _numbered(volume.name, volume.count):
                if name in seen:
                    message = f'duplicate name "{name}": another volume of the server has it already'
                    yield Finding(path=(*place, "name"), message=message, because=(seen[name],))
                seen[name] = place


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return (name,) if count == 1 else tuple(f"{name}{number}" for number in range(count))


def _volume(volume: VolumeSpec, path: Path) -> Iterator[Finding]:
    kind, because = volume.kind, ((*path, "kind"),)
    takes = (*_EVERY, *_TAKES[kind], *(() if kind == "folder" else _DISK))
    for key in _NEEDS[kind]:
        if getattr(volume, key) is None:
            message = f"a volume of kind {kind} needs `{key}`"
            yield Finding(path=path, message=message, because=(*because, (*path, key)))
    for key in (key for key in VolumeSpec.model_fields if key in volume.model_fields_set and key not in takes):
        message = f"a volume of kind {kind} has no `{key}`"
        yield Finding(path=(*path, key), message=message, because=because, at_key=True)
    if volume.path is not None and not volume.path.startswith("/"):
        yield Finding(path=(*path, "path"), message=f'"{volume.path}" is not an absolute path')


def serials(survey: Survey) -> Iterator[Finding]:
    """No two disks of a server have one serial, by which the guest knows them; without one it is the name."""
    for path, server in survey.hardware:
        taken = dict.fromkeys(addressing.OWN_DISKS, "every server")
        for number, volume in enumerate(server.volumes or ()):
            place = (*path, "volumes", number, "name" if volume.serial is None else "serial")
            because = ((*path, "volumes", number, "count"), (*path, "volumes"), (*path, "image"))
            for serial in _serials(volume):
                if len(serial) > addressing.DISK_SERIAL_LENGTH:
                    message = f'the serial "{serial}" is longer than {addressing.DISK_SERIAL_LENGTH} characters'
                    yield Finding(path=place, message=message, because=because)
                elif taken.get(serial, volume.name) != volume.name:
                    message = f'duplicate serial "{serial}": a disk of {taken[serial]} has it already'
                    yield Finding(path=place, message=message, because=because)
                taken[serial] = volume.name


def users_own(server: ServerSpec) -> bool:
    """Return whether a server boots an image of the file's own."""
    return server.image is not None and server.image not in names()


def _serials(volume: VolumeSpec) -> tuple[str, ...]:
    if volume.kind == "folder":
        return ()
    if volume.serial is None:
        return tuple(map(addressing.disk_serial, _numbered(volume.name, volume.count)))
    return _numbered(volume.serial, volume.count)


def images(survey: Survey) -> Iterator[Finding]:
    """An image comes from one place, and what is fetched is known by its digest."""
    for name, image in survey.spec.images.items():
        path = ("images", name)
        if name in names():
            yield Finding(path=path, message=f'"{name}" is the name of a release', at_key=True)
        if (image.url is None) == (image.file is None):
            wrong = "has both `url` and `file`" if image.url is not None else "has neither `url` nor `file`"
            because = ((*path, "url"), (*path, "file"))
            yield Finding(path=path, message=f"{wrong}; an image comes from one of them", because=because)
        if image.url is not None:
            if not image.url.startswith(("http://", "https://")):
                message = f'expected a URL such as https://example.org/disk.img, not "{image.url}"'
                yield Finding(path=(*path, "url"), message=message)
            if image.sha256 is None:
                message = "needs `sha256`: what is fetched must be known"
                yield Finding(path=(*path, "url"), message=message, because=((*path, "sha256"),))


def directories(survey: Survey) -> Iterator[Finding]:
    """A device class is an absolute path."""
    for name, directory in survey.spec.device_classes.items():
        if not directory.startswith("/"):
            yield Finding(path=("device_classes", name), message=f'"{directory}" is not an absolute path')
