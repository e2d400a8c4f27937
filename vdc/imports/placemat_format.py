"""The resources of placemat v2 (cybozu-go/placemat, docs/resource.md), and what it accepts of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_interface
from posixpath import isabs
from typing import Final, Literal

from vdc.errors import Problem
from vdc.imports.documents import Document, Source
from vdc.imports.formats import Part, Resource, Resources, Text, dangling, duplicates, read_resources
from vdc.imports.units import size
from vdc.model.yamltree import Path

LONGEST_NETWORK_NAME: Final = 15


class Network(Part):
    """A bridge."""

    kind: Literal["Network"]
    name: Text
    type: Literal["internal", "external", "bmc"]
    use_nat: bool = False
    address: str | None = None


class Image(Part):
    """A disk image."""

    kind: Literal["Image"]
    name: Text
    url: str | None = None
    file: str | None = None
    compression: Literal["gzip", "bzip2"] | None = None


class DeviceClass(Part):
    """A folder for volumes."""

    kind: Literal["DeviceClass"]
    name: Text
    path: Text


class Smp(Part):
    """QEMU's `-smp`."""

    cpus: int | None = None
    cores: int | None = None
    threads: int | None = None
    dies: int | None = None
    sockets: int | None = None
    maxcpus: int | None = None


class Numa(Part):
    """So many equal NUMA nodes."""

    nodes: int | None = None


class Smbios(Part):
    """SMBIOS type 1."""

    manufacturer: str | None = None
    product: str | None = None
    serial: str | None = None


class Volume(Part):
    """A disk of a node."""

    kind: Literal["image", "localds", "raw", "hostPath"]
    name: Text
    image: str | None = None
    user_data: str | None = None
    network_config: str | None = None
    size: str | None = None
    path: str | None = None
    copy_on_write: bool | None = None
    cache: Literal["writeback", "none", "writethrough", "directsync", "unsafe"] | None = None
    format: Literal["qcow2", "raw"] | None = None
    vg: str | None = None
    writable: bool | None = None
    device_class: str | None = None


class Node(Part):
    """A guest."""

    kind: Literal["Node"]
    name: Text
    interfaces: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    ignition: str | None = None
    cpu: int | None = None
    smp: Smp | None = None
    memory: str | None = None
    numa: Numa | None = None
    network_device_queue: int | None = None
    uefi: bool = False
    tpm: bool = False
    smbios: Smbios | None = None


class NamespaceInterface(Part):
    """A leg of a network namespace."""

    network: Text
    addresses: tuple[str, ...] = ()


class App(Part):
    """A process in a network namespace."""

    name: str = ""
    command: tuple[str, ...]


class NetworkNamespace(Part):
    """A network namespace with processes."""

    kind: Literal["NetworkNamespace"]
    name: Text
    interfaces: tuple[NamespaceInterface, ...]
    init_scripts: tuple[str, ...] = ()
    apps: tuple[App, ...] = ()


KINDS: Final[Mapping[str, type[Part]]] = {
    kind.__name__: kind for kind in (Network, Image, DeviceClass, Node, NetworkNamespace)
}

_V1: Final = {
    "Pod": "Pod is of placemat v1; what v2 has instead is NetworkNamespace",
    "DataFolder": "DataFolder is of placemat v1; what v2 has instead are volumes of kind hostPath",
    "NodeSet": "NodeSet is of placemat v0; later versions have a Node for each",
}

VOLUME_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "image": frozenset({"image", "copy_on_write", "cache", "device_class"}),
    "localds": frozenset({"user_data", "network_config", "cache", "device_class"}),
    "raw": frozenset({"size", "format", "cache", "device_class"}),
    "hostPath": frozenset({"path", "writable"}),
}
"""The fields of a volume that mean something for its kind."""

_NEEDED: Final = {"image": "image", "localds": "user_data", "raw": "size", "hostPath": "path"}


def read_placemat(sources: Iterable[Source]) -> Resources:
    """Read files of placemat v2, and check all that can be known before anything is made.

    Raises InputError for a file that is not YAML; all other mistakes are among the result's problems.
    """
    sources = tuple(sources)
    found = read_resources(sources, KINDS, _V1)
    problems = [*found.problems, *_mistakes(found)]
    if not set(found.claimed) & {"Network", "Node", "NetworkNamespace"} and not problems:
        start = Document(sources[0].file, (1, 1), label="file")
        problems.append(start.problem((), "there is no Network, no Node and no NetworkNamespace"))
    return Resources(found.all, found.claimed, tuple(problems))


def _mistakes(found: Resources) -> Iterator[Problem]:
    yield from duplicates(found.all)
    for network in found.of(Network):
        yield from _network(network)
    for image in found.of(Image):
        yield from image_mistakes(image.document, image.spec.url, image.spec.file)
    for device_class in found.of(DeviceClass):
        yield from absolute(device_class.document, ("path",), device_class.spec.path)
    for node in found.of(Node):
        yield from _node(node, found)
    for namespace in found.of(NetworkNamespace):
        yield from _namespace(namespace, found)


def _network(network: Resource[Network]) -> Iterator[Problem]:
    spec, problem = network.spec, network.document.problem
    if len(spec.name) > LONGEST_NETWORK_NAME:
        yield problem(("name",), f"is longer than {LONGEST_NETWORK_NAME} characters")
    if spec.use_nat and spec.type != "external":
        yield problem(("use-nat",), f"means something for an external network only, not for {spec.type}")
    if spec.address and spec.type == "internal":
        yield problem(("address",), "an internal network has none")
    if not spec.address and spec.type != "internal":
        yield problem(("address",), f"required for a network of type {spec.type}, but missing")
    if spec.address:
        yield from _interface(network.document, ("address",), spec.address)


def image_mistakes(document: Document, url: str | None, file: str | None) -> Iterator[Problem]:
    """Yield a mistake unless an image comes from exactly one place."""
    if not url and not file:
        yield document.problem((), "either url or file is required, but missing")
    if url and file:
        yield document.problem(("file",), "an image has a url or a file, not both")


def absolute(document: Document, path: Path, value: str) -> Iterator[Problem]:
    """Yield a mistake unless a path is absolute."""
    if not isabs(value):
        yield document.problem(path, f'expected an absolute path, not "{value}"')


def cpu_mistakes(document: Document, path: Path, cpu: int | None, smp: Part | None) -> Iterator[Problem]:
    """Yield a mistake unless CPUs are told in exactly one way."""
    if cpu is None and smp is None:
        yield document.problem(path, "either cpu or smp is required, but missing")
    if cpu is not None and smp is not None:
        yield document.problem((*path, "smp"), "cpu and smp exclude each other")


def size_mistakes(document: Document, path: Path, value: str | None) -> Iterator[Problem]:
    """Yield a mistake unless a size, if there is one, is one of QEMU's."""
    if value is not None:
        try:
            size(value)
        except ValueError as error:
            yield document.problem(path, f'{error}, not "{value}"')


def _node(node: Resource[Node], found: Resources) -> Iterator[Problem]:
    spec, document = node.spec, node.document
    yield from cpu_mistakes(document, (), spec.cpu, spec.smp)
    yield from size_mistakes(document, ("memory",), spec.memory)
    for number, network in enumerate(spec.interfaces):
        yield from dangling(document, ("interfaces", number), network, "Network", found)
    first: dict[str, int] = {}
    for number, volume in enumerate(spec.volumes):
        if first.setdefault(volume.name, number) != number:
            yield document.problem(("volumes", number, "name"), f"duplicate name; volumes[{first[volume.name]}] has it")
        yield from _volume(document, ("volumes", number), volume, found)


def _volume(document: Document, path: Path, volume: Volume, found: Resources) -> Iterator[Problem]:
    needed = _NEEDED[volume.kind]
    if not getattr(volume, needed):
        field = needed.replace("_", "-")
        yield document.problem((*path, field), f"required for a volume of kind {volume.kind}, but missing")
    if volume.kind == "image" and volume.image:
        yield from dangling(document, (*path, "image"), volume.image, "Image", found)
    if volume.kind == "raw" and volume.size:
        yield from size_mistakes(document, (*path, "size"), volume.size)
    if volume.kind == "hostPath" and volume.path:
        yield from absolute(document, (*path, "path"), volume.path)
    if volume.device_class:
        yield from dangling(document, (*path, "device-class"), volume.device_class, "DeviceClass", found)


def _namespace(namespace: Resource[NetworkNamespace], found: Resources) -> Iterator[Problem]:
    spec, document = namespace.spec, namespace.document
    if not spec.interfaces:
        yield document.problem(("interfaces",), "must not be empty")
    for number, interface in enumerate(spec.interfaces):
        path = ("interfaces", number)
        yield from dangling(document, (*path, "network"), interface.network, "Network", found)
        for index, address in enumerate(interface.addresses):
            yield from _interface(document, (*path, "addresses", index), address)
    for number, app in enumerate(spec.apps):
        if not app.command:
            yield document.problem(("apps", number, "command"), "must not be empty")


def _interface(document: Document, path: Path, value: str) -> Iterator[Problem]:
    try:
        ip_interface(value if "/" in value else "no length")
    except ValueError:
        yield document.problem(path, f'expected an address with a length such as 192.168.1.1/24, not "{value}"')
