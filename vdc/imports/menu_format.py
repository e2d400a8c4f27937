"""The files of placemat-menu (cybozu-go/neco, docs/placemat-menu.md) and the IPAM configuration beside them.

Two fields of older versions are read too: `exposed.ingress`, and `ntp` as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from vdc.errors import InputError, Problem
from vdc.imports.documents import Document, Source, read_documents
from vdc.imports.formats import (
    OneOrMany,
    Part,
    Resource,
    Resources,
    Text,
    dangling,
    duplicates,
    mistakes_of,
    read_resources,
    refuse,
)
from vdc.imports.placemat_format import (
    DeviceClass,
    Image,
    Numa,
    absolute,
    cpu_mistakes,
    image_mistakes,
    size_mistakes,
)
from vdc.model.values import Pool4

NodeType = Literal["boot", "cs", "ss"]

TORS: Final = 2
"""The ToRs of every rack."""

Read = Callable[[str], Source]
"""Returns a file that a menu names, by the path in the menu. Raises InputError: it cannot be read."""


def _address(value: object) -> IPv4Address:
    try:
        found = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if not isinstance(found, IPv4Address):
        raise ValueError("expected an IPv4 address such as 10.72.1.0")  # noqa: TRY004 - pydantic takes ValueError
    return found


class Exposed(Part):
    """Prefixes that the outside learns."""

    loadbalancer: Pool4 | None = None
    bastion: Pool4 | None = None
    egress: Pool4 | None = None
    global_: Pool4 | None = None
    ingress: Pool4 | None = None


class NetworkSpec(Part):
    """Prefixes of links and purposes, and the first AS number of the racks."""

    ipam_config: Text
    asn_base: int
    internet: Pool4
    core_spine: Pool4
    core_external: Pool4
    core_operation: Pool4
    spine_tor: Annotated[IPv4Address, BeforeValidator(_address)]
    proxy: str | None = None
    ntp: OneOrMany = ()
    pod: Pool4 | None = None
    exposed: Exposed = Exposed()


class Network(Part):
    """The network's resource; there is one."""

    kind: Literal["Network"]
    spec: NetworkSpec


class RackSpec(Part):
    """The workers of a rack; it has a boot server besides."""

    cs: Annotated[int, Field(ge=0)] = 0
    ss: Annotated[int, Field(ge=0)] = 0


class InventorySpec(Part):
    """How many spines and racks there are."""

    cluster_id: str | None = None
    spine: Annotated[int, Field(ge=1)]
    rack: Annotated[tuple[RackSpec, ...], Field(min_length=1)]


class Inventory(Part):
    """The inventory's resource; there is one."""

    kind: Literal["Inventory"]
    spec: InventorySpec


class MenuSmp(Part):
    """QEMU's `-smp`, without `maxcpus`."""

    cpus: int | None = None
    cores: int | None = None
    threads: int | None = None
    dies: int | None = None
    sockets: int | None = None


class Disks(Part):
    """Equal disks of a class."""

    device_class: str | None = None
    count: Annotated[int, Field(ge=1)]
    size: str | None = None


class NodeSpec(Part):
    """What servers of a type have."""

    cpu: int | None = None
    smp: MenuSmp | None = None
    memory: str | None = None
    numa: Numa | None = None
    disk_count: Annotated[int, Field(ge=0)] | None = None
    disk_size: str | None = None
    disks: tuple[Disks, ...] = ()
    image: str | None = None
    data: tuple[str, ...] = ()
    uefi: bool = False
    cloud_init_template: str | None = None
    tpm: bool = False


class Node(Part):
    """A type of server; there is at most one resource of each."""

    kind: Literal["Node"]
    type: NodeType
    spec: NodeSpec


class Ipam(Part):
    """sabakan's IPAM configuration (cybozu-go/sabakan, docs/ipam.md)."""

    max_nodes_in_rack: int | None = None
    node_ipv4_pool: Pool4
    node_ipv4_offset: Annotated[IPv4Address, BeforeValidator(_address)] | None = None
    node_ipv4_range_size: Annotated[int, Field(ge=1, le=32)]
    node_ipv4_range_mask: Annotated[int, Field(ge=8, le=32)]
    node_ip_per_node: int
    node_index_offset: int
    node_gateway_offset: int | None = None
    bmc_ipv4_pool: Pool4
    bmc_ipv4_offset: str | None = None
    bmc_ipv4_range_size: int | None = None
    bmc_ipv4_range_mask: int | None = None
    bmc_ipv4_gateway_offset: int | None = None


KINDS: Final[Mapping[str, type[Part]]] = {
    kind.__name__: kind for kind in (Network, Inventory, Image, DeviceClass, Node)
}

_OTHER_TOOL: Final = "NetworkNamespace is of placemat, not of placemat-menu: vdc import placemat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """A menu without mistakes."""

    network: Resource[Network]
    ipam: Resource[Ipam]
    inventory: Resource[Inventory]
    nodes: Mapping[NodeType, Resource[Node]]
    images: tuple[Resource[Image], ...]
    device_classes: tuple[Resource[DeviceClass], ...]


def read_menu(source: Source, read: Read) -> Menu:
    """Read a menu and the files that it names. Raises InputError with every mistake in them."""
    found = read_resources([source], KINDS, {"NetworkNamespace": _OTHER_TOOL})
    problems = [*found.problems, *_mistakes(found, source)]
    ipam = None
    for network in found.of(Network)[:1]:
        try:
            ipam = _ipam(network, read)
        except InputError as error:
            problems += error.problems
    refuse(problems)
    assert ipam is not None
    return Menu(
        network=found.of(Network)[0],
        ipam=ipam,
        inventory=found.of(Inventory)[0],
        nodes={node.spec.type: node for node in found.of(Node)},
        images=found.of(Image),
        device_classes=found.of(DeviceClass),
    )


def _ipam(network: Resource[Network], read: Read) -> Resource[Ipam]:
    name = network.spec.spec.ipam_config
    try:
        source = read(name)
    except InputError as error:
        problem = network.document.problem(("spec", "ipam-config"), f"cannot be read: {error.message}")
        raise InputError(error.message, problems=[problem]) from error
    # JSON is YAML (YAML 1.2, 1.3), but for tabs between its tokens
    documents = read_documents(Source(source.file, source.text.replace("\t", " ")), label="IPAM")
    document = documents[0] if documents else Document(source.file, (1, 1), label="IPAM", data={})
    try:
        ipam = Resource(document, Ipam.model_validate(document.data))
    except ValidationError as error:
        refuse([*document.problems, *mistakes_of(document, Ipam, error)])
        raise
    refuse([*document.problems, *_ipam_mistakes(ipam)])
    return ipam


def _ipam_mistakes(ipam: Resource[Ipam]) -> Iterator[Problem]:
    for field in ("node_ip_per_node", "node_index_offset"):
        if (value := getattr(ipam.spec, field)) != 1 + TORS:
            yield ipam.document.problem((field.replace("_", "-"),), f"must be {1 + TORS} for a menu, not {value}")


def _mistakes(found: Resources, source: Source) -> Iterator[Problem]:
    start = Document(source.file, (1, 1), label="menu")
    for kind in (Network, Inventory):
        if kind.__name__ not in found.claimed:
            yield start.problem((), f"there is no {kind.__name__}")
        for another in found.of(kind)[1:]:
            yield another.document.problem((), f"there is another {kind.__name__} already")
    yield from duplicates([*found.of(Image), *found.of(DeviceClass)])
    yield from duplicates(found.of(Node), "type")
    for image in found.of(Image):
        yield from image_mistakes(image.document, image.spec.url, image.spec.file)
    for device_class in found.of(DeviceClass):
        yield from absolute(device_class.document, ("path",), device_class.spec.path)
    for node in found.of(Node):
        yield from _node_mistakes(node, found)
    for inventory in found.of(Inventory)[:1]:
        yield from _missing_types(inventory, found)


def _missing_types(inventory: Resource[Inventory], found: Resources) -> Iterator[Problem]:
    racks = inventory.spec.spec.rack
    used = {"boot": True, "cs": any(rack.cs for rack in racks), "ss": any(rack.ss for rack in racks)}
    for kind in (kind for kind, is_used in used.items() if is_used and kind not in found.claimed.get("Node", ())):
        yield inventory.document.problem(("spec", "rack"), f"there is no Node of type {kind}, which racks have")


def _node_mistakes(node: Resource[Node], found: Resources) -> Iterator[Problem]:
    spec, document, at = node.spec.spec, node.document, ("spec",)
    yield from cpu_mistakes(document, at, spec.cpu, spec.smp)
    yield from size_mistakes(document, (*at, "memory"), spec.memory)
    yield from size_mistakes(document, (*at, "disk-size"), spec.disk_size)
    if spec.disk_count and spec.disks:
        yield document.problem((*at, "disks"), "disk-count and disks exclude each other")
    if spec.image:
        yield from dangling(document, (*at, "image"), spec.image, "Image", found)
    for number, name in enumerate(spec.data):
        yield from dangling(document, (*at, "data", number), name, "Image", found)
    for number, disks in enumerate(spec.disks):
        path = (*at, "disks", number)
        yield from size_mistakes(document, (*path, "size"), disks.size)
        if disks.device_class:
            yield from dangling(document, (*path, "device-class"), disks.device_class, "DeviceClass", found)
