"""A plan: everything that will exist on the host, as data, made from a topology without touching anything."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from vdc.errors import InputError
from vdc.model.topology import Server, Topology
from vdc.plan.context import PlanContext
from vdc.plan.kinds import KINDS
from vdc.plan.resources import RESOURCES, Resource
from vdc.plan.resources.network import Namespace
from vdc.plan.resources.processes import ConsoleRecorder, Libvirtd

__all__ = ["Plan", "PlanContext", "make_plan"]

ROOT_GROWTH: Final = 512 << 20
"""How many bytes the overlay of a root disk is expected to grow to: logs, and what a deployer installs."""

_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
_CONTEXT: Final = TypeAdapter(PlanContext)
_TOPOLOGY: Final = TypeAdapter(Topology)
_RESOURCES: Final[Mapping[str, TypeAdapter[Any]]] = {kind: TypeAdapter(of) for kind, of in RESOURCES.items()}
_SOCKET_PATH_MAX: Final = 107  # unix(7): sun_path has 108 bytes, the last is zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an instance of a topology will be made of; `resources` are in no particular order."""

    context: PlanContext
    topology: Topology
    resources: tuple[Resource, ...]

    @property
    def instance(self) -> str:
        """The name of the instance."""
        return self.context.instance

    def resource(self, resource_id: str) -> Resource:
        """Return the resource with this id. Raises KeyError."""
        for resource in self.resources:
            if resource.id == resource_id:
                return resource
        raise KeyError(f"no resource {resource_id!r} in the plan of {self.instance}")

    @property
    def memory(self) -> int:
        """Bytes of memory that all servers have together."""
        return sum(server.memory for server in self.topology.servers)

    @property
    def vcpus(self) -> int:
        """Virtual CPUs that all servers have together."""
        return sum(server.cpu for server in self.topology.servers)

    @property
    def disk(self) -> int:
        """Bytes of disk that all servers can come to use: full data disks and volumes, and grown root disks.

        Volumes of a device class are not among them: they are on other disks of the host.
        """
        return sum(map(disk_of, self.topology.servers))

    @property
    def digest(self) -> str:
        """A SHA-256 of the whole plan, in hex: equal plans have equal digests."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the plan as JSON, each resource with its class as `kind`; `from_json` is the inverse."""
        data = {
            "context": _CONTEXT.dump_python(self.context, mode="json"),
            "topology": _TOPOLOGY.dump_python(self.topology, mode="json"),
            "resources": [_dump(resource) for resource in self.resources],
        }
        # by far faster than `json.dumps`, which indents in Python
        return to_json(data, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that `to_json` wrote. Raises InputError: this is no plan."""
        try:
            data = json.loads(text)
            return cls(
                context=_CONTEXT.validate_python(data["context"]),
                topology=_TOPOLOGY.validate_python(data["topology"]),
                resources=tuple(_load(each) for each in data["resources"]),
            )
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise InputError(f"not a plan: {error}") from error


def disk_of(server: Server) -> int:
    """Return the bytes of disk that a server can come to use."""
    volumes = (volume for volume in server.hardware.volumes if volume.kind != "folder" and not volume.directory)
    data = server.data if server.managed else 0
    return ROOT_GROWTH + data + sum(volume.size or ROOT_GROWTH for volume in volumes)


def make_plan(topology: Topology, context: PlanContext) -> Plan:
    """Return the plan of an instance.

    Raises InputError: the instance name is not one, or a path that follows from it is too long for a socket.
    """
    if not _INSTANCE.fullmatch(context.instance):
        raise InputError(
            f'"{context.instance}" is not an instance name',
            hint="use 1 to 20 lower-case letters, digits and dashes, beginning with a letter or digit",
        )
    _check_sockets(topology, context)
    resources = (*_common(topology, context), *_devices(topology, context))
    return Plan(context=context, topology=topology, resources=resources)


def _common(topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what is there once for all devices."""
    yield Namespace(name=context.netns)
    if topology.servers:
        yield Libvirtd(netns=context.netns, directory=str(context.libvirt))
        yield ConsoleRecorder(netns=context.netns, directory=str(context.consoles))


def _devices(topology: Topology, context: PlanContext) -> Iterator[Resource]:
    for kind in KINDS.values():
        yield from kind.resources(topology, context)


def _check_sockets(topology: Topology, context: PlanContext) -> None:
    servers = [server.name for server in topology.servers]
    routers = [router.name for router in topology.routers]
    # names are ASCII, and the rest of the path is the same for all of a kind
    consoles = (str(context.console(name)) for name in sorted(servers, key=len)[-1:])
    controls = (str(context.bird_file(name, "ctl")) for name in sorted(routers, key=len)[-1:])
    longest = max((*consoles, *controls), key=lambda path: len(path.encode()), default="")
    if (length := len(longest.encode())) > _SOCKET_PATH_MAX:
        raise InputError(
            f"{longest} is {length} bytes long, and the path of a socket has at most {_SOCKET_PATH_MAX}",
            hint="choose a shorter state directory or instance name",
        )


def _dump(resource: Resource) -> Mapping[str, object]:
    kind = type(resource).__name__
    return {"kind": kind, **_RESOURCES[kind].dump_python(resource, mode="json")}


def _load(data: Mapping[str, object]) -> Resource:
    fields = dict(data)
    resource: Resource = _RESOURCES[str(fields.pop("kind"))].validate_python(fields)
    return resource
