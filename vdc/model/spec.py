"""The language of topology files: counts, pools and roles, as typed data; all else is computed.

Nothing but `name` has to be there. Sizes become bytes, durations seconds, prefixes `ipaddress` objects.
`vdc.model.load` reads files; `vdc.model.checks` holds the rules that reach over more than one field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vdc.model.routing_spec import AsnSpec, BfdSpec, PoolName, Pools6Spec, PoolsSpec, RoutingSpec
from vdc.model.section import Section
from vdc.model.server_spec import (
    EXPOSED,
    LATER,
    ExposedPool,
    ImageSpec,
    IoLimitsSpec,
    ServerSpec,
    SmbiosSpec,
    SmpSpec,
    VolumeSpec,
)
from vdc.model.values import AnyAddress, AnyInterface, AnyPrefix, Asn, Duration, Mac, Mtu, Name, Rate, RoleName, Share

__all__ = [
    "EXPOSED",
    "LATER",
    "AsnSpec",
    "BfdSpec",
    "ClientsSpec",
    "DeviceSpec",
    "ExposedPool",
    "ExternalSpec",
    "FabricSpec",
    "ImageSpec",
    "InterfaceSpec",
    "InternetSpec",
    "IoLimitsSpec",
    "KubernetesSpec",
    "LinkSpec",
    "NetworkSpec",
    "OobSpec",
    "OverrideSpec",
    "PoolName",
    "Pools6Spec",
    "PoolsSpec",
    "RackSpec",
    "RoutingSpec",
    "ScriptSpec",
    "ScriptStepSpec",
    "Section",
    "ServerSpec",
    "SmbiosSpec",
    "SmpSpec",
    "TopologySpec",
    "VolumeSpec",
]


class FabricSpec(Section):
    """How many routers each tier has: `tors` per rack, `spines` in all or, with `pods`, in each pod.

    With super-spines the fabric has five stages: racks are spread over the pods in their order, evenly, and
    super-spines connect the pods with each other and with the borders. `links` are numbered, or have link-local
    addresses only.
    `mtu` left out is that of the host's default route, where it has one.
    """

    borders: Annotated[int, Field(ge=0, le=64)] = 1
    """Routers to the outside: external clients, the tester's place, the internet."""
    superspines: Annotated[int, Field(ge=0, le=128)] = 0
    """Routers that connect the pods of a five-stage fabric with each other and with the borders."""
    pods: Annotated[int, Field(ge=1, le=256)] = 1
    """Groups of racks with spines of their own; more than one needs super-spines."""
    spines: Annotated[int, Field(ge=0, le=256)] = 2
    """Routers that connect the racks; with several pods, in each pod."""
    tors: Annotated[int, Field(ge=0, le=8)] = 2
    """Routers at the top of each rack; every server of the rack has a NIC to each."""
    links: Literal["numbered", "unnumbered"] = "numbered"
    """`numbered`: a /31 and a /127 for each link; `unnumbered`: link-local addresses only (RFC 8950)."""
    mtu: Mtu | None = None
    """Bytes of a packet on every link and network; left out, that of the host's default route."""


class RackSpec(Section):
    """`count` equal racks, each with so many servers of each role; `roles` are what differs in them.

    Or, instead of all that, a sequence of `racks`, `repeat` times over.
    """

    count: Annotated[int, Field(ge=1, le=4096)] = 1
    """How many such racks there are, one after the other."""
    servers: Mapping[str, Annotated[int, Field(ge=0, le=1024)]] = Field(default_factory=dict)
    """How many servers of each role a rack has: `rack0-cs0`, `rack0-cs1` …"""
    tors: Annotated[int, Field(ge=1, le=8)] | None = None
    """ToRs of these racks, instead of `fabric.tors`."""
    pod: Annotated[int, Field(ge=0)] | None = None
    """The pod they are in; by default racks go round the pods in turn."""
    roles: Mapping[RoleName, ServerSpec] = Field(default_factory=dict)
    """What servers of a role have in these racks, beyond what the role says."""
    repeat: Annotated[int, Field(ge=1, le=4096)] | None = None
    """How often the sequence `racks` comes."""
    racks: Annotated[tuple[RackSpec, ...], Field(min_length=1, strict=False)] | None = None
    """A sequence of racks, instead of all that."""

    def each(self) -> Iterator[RackSpec]:
        """Yield the spec of each rack that it means."""
        if self.racks is None:
            yield from (self for _ in range(self.count))
            return
        for _ in range(self.repeat or 1):
            for inner in self.racks:
                yield from inner.each()


class ClientsSpec(Section):
    """A network outside the borders: how many clients it has; none means no such network."""

    clients: Annotated[int, Field(ge=0, le=64)] = 0
    """How many clients it has; with none there is no such network."""


class ExternalSpec(ClientsSpec):
    """The network of the users."""

    clients: Annotated[int, Field(ge=0, le=64)] = 1
    """How many clients it has: `external`, or `external0`, `external1` …"""


class OobSpec(Section):
    """The management network: a NIC of every server, and a leg of the tester's place, beside the fabric."""

    servers: bool = False
    """Whether every server has a NIC there."""


class InternetSpec(Section):
    """Access to the internet over the first border, through NAT; only where asked for.

    `namespace` is a network namespace of the host through which it is reached instead of the host's own.
    """

    nat: bool = False
    """Whether the first border has a default route to the internet."""
    namespace: Name | None = None
    """A network namespace of the host through which the internet is reached, instead of the host's own."""


class NetworkSpec(Section):
    """A flat layer-2 network beside the fabric, without routers: `prefixes` are what addresses on it come from."""

    prefixes: Annotated[tuple[AnyPrefix, ...], Field(strict=False)] = ()
    """What its addresses come from: at most one prefix of each family, or none."""
    mtu: Mtu | None = None
    """Bytes of a packet on it; by default the fabric's."""


class InterfaceSpec(Section):
    """An interface of a device beside the fabric: on a `network`, or a wire to a router of the fabric (`link`).

    Networks are those of `networks`, `external`, `operation`, `oob`, and the servers' network of a ToR by its name.
    Addresses not given are the next free ones.
    """

    network: str | None = None
    """The network it is on."""
    link: str | None = None
    """The router it is wired to; only for a router."""
    addresses: Annotated[tuple[AnyInterface, ...], Field(strict=False)] | None = None
    """Its addresses; by default the next free ones."""
    mac: Mac | None = None
    """Its MAC; by default a computed one."""


class DeviceSpec(Section):
    """A device beside the fabric.

    Kinds: `server` (a guest of a `role`, or with a `server` spec of its own), `client` (a namespace), `router` (a
    namespace with BIRD, which has sessions over its links). `gateways` are where a client's default route leads.
    """

    kind: Literal["server", "client", "router"]
    """`server`: a guest; `client`: a namespace; `router`: a namespace with BIRD, which has sessions over its links."""
    interfaces: Annotated[tuple[InterfaceSpec, ...], Field(strict=False)] = ()
    """Its interfaces, in their order."""
    role: RoleName | None = None
    """Of a server: the role that says what it has."""
    server: ServerSpec | None = None
    """Of a server: what it has, beyond what the role says."""
    gateways: Annotated[tuple[AnyAddress, ...], Field(strict=False)] = ()
    """Where the default route leads; not for a router."""
    asn: Asn | None = None
    """Of a router: its AS number, instead of the next one from `asn.device` up."""
    loopbacks: Annotated[tuple[AnyAddress, ...], Field(strict=False)] | None = None
    """Of a router: its loopback addresses, at most one of each family, out of the pool."""


class LinkSpec(Section):
    """Properties of every link between a device that matches the first pattern and one that matches the second.

    Patterns are names in which `*` stands for anything; a network's name stands for the cables to it. Impairments hold
    in both directions, or `towards` one of the two only. `addresses` are the ends' own, for a single numbered link.
    """

    between: Annotated[tuple[str, str], Field(strict=False)]
    """Two names; `*` in them stands for anything. A network's name stands for the cables to it."""
    mtu: Mtu | None = None
    """Bytes of a packet."""
    delay: Duration | None = None
    """What a packet is late."""
    jitter: Duration | None = None
    """What the delay varies by."""
    loss: Share | None = None
    """Which share of packets is lost."""
    rate: Rate | None = None
    """Bits in a second."""
    towards: str | None = None
    """One of the two names: impairments hold only for packets towards it."""
    addresses: Annotated[tuple[AnyInterface, AnyInterface], Field(strict=False)] | None = None
    """The addresses of both ends, in the order of the names; for a single link between routers."""


class OverrideSpec(ServerSpec):
    """What one device has of its own: for a server all that a role may say, for any an AS number and addresses."""

    asn: Asn | None = None
    """The AS number of a router or server."""
    addresses: Annotated[tuple[AnyAddress, ...], Field(strict=False)] | None = None
    """Node addresses of a server, loopbacks of a router: one of each family."""
    macs: Annotated[tuple[Mac, ...], Field(strict=False)] | None = None
    """Of a server's NICs, in their order."""


class KubernetesSpec(Section):
    """The Kubernetes that the deployer of that name builds.

    Its control plane are the servers of the role `control_plane`: 1, 3 or 5 of them, spread over the racks.
    """

    control_plane: RoleName = "cp"
    """The role whose servers are the control plane."""
    proxy: Literal["iptables", "ipvs"] = "iptables"
    """How kube-proxy sends the packets of a service on."""
    registry_mirrors: Mapping[str, str] = Field(default_factory=dict)
    """Where images of a registry are pulled from instead: its host to the URL of the mirror."""
    domain: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")] = "cluster.local"
    """The domain of the cluster's DNS."""


CommandLine = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
"""A command and its arguments."""


class ScriptStepSpec(Section):
    """A command of a deployment, run on this host: for each server of some roles, or once."""

    run: CommandLine
    """The command and its arguments. A word that begins with ./ or ../ is a path relative to this file."""
    roles: Annotated[tuple[RoleName, ...], Field(strict=False)] | None = None
    """It is run for each server of these roles; by default for each of all."""
    once: bool = False
    """It is run once, for the cluster as a whole."""


class ScriptSpec(Section):
    """A cluster that commands of your own deploy (the deployer `script`), with the inventory in their environment.

    Steps follow each other; each must be such that a second run of it does no harm. What a command starts ends with it.
    """

    deploy: Annotated[tuple[ScriptStepSpec, ...], Field(strict=False, min_length=1)]
    """The steps, in their order."""
    serving: CommandLine
    """Exits 0 where the server `$VDC_SERVER` serves; may print its version, and `leader` after that."""
    write: CommandLine | None = None
    """Writes what it reads to the key `$VDC_KEY`, through `$VDC_SERVER`; exits 0 when that is acknowledged."""
    read: CommandLine | None = None
    """Prints the value of `$VDC_KEY` as `$VDC_SERVER` has it; exits 3 where there is none."""
    list: CommandLine | None = None
    """Prints each key that begins with `$VDC_KEY`, one in a line."""
    timeout: Duration = 600.0
    """How long a step, and the wait until all serve, may take on a host of slowness 1."""


class TopologySpec(Section):
    """A whole topology file. `boot` is how servers first start: as clones of a booted template, or cold.

    `family` is what is routed. `overrides` are by the name of a device. `device_classes` are absolute paths of folders
    in which the volumes of that class are kept.
    """

    name: Name
    """What data centres of this file are called: at most 20 lower-case letters, digits and dashes."""
    release: str = "debian-12"
    """What the servers' root disks are made from."""
    boot: Literal["fork", "cold"] = "fork"
    """How servers first start: as clones of a booted template, or cold."""
    family: Literal["ipv4", "ipv6", "dual"] = "ipv4"
    """What is routed: IPv4, IPv6 or both."""
    fabric: FabricSpec = FabricSpec()
    """The routers."""
    racks: Annotated[tuple[RackSpec, ...], Field(strict=False)] = ()
    """The racks, numbered from 0."""
    roles: Mapping[RoleName, ServerSpec] = Field(default_factory=dict)
    """What servers have, by role."""
    external: ExternalSpec = ExternalSpec()
    """The network of the users, outside the borders."""
    operation: ClientsSpec = ClientsSpec()
    """The tester's place, outside the borders."""
    oob: OobSpec = OobSpec()
    """The management network, beside the fabric."""
    internet: InternetSpec = InternetSpec()
    """Access to the internet, over the first border."""
    networks: Mapping[Name, NetworkSpec] = Field(default_factory=dict)
    """Flat layer-2 networks beside the fabric, by name."""
    devices: Mapping[Name, DeviceSpec] = Field(default_factory=dict)
    """Devices beside the fabric, by name."""
    links: Annotated[tuple[LinkSpec, ...], Field(strict=False)] = ()
    """Properties of links; of several that match, the last wins."""
    overrides: Mapping[Name, OverrideSpec] = Field(default_factory=dict)
    """What one router or server has of its own, by its name."""
    routing: RoutingSpec = RoutingSpec()
    """How the fabric routes."""
    pools: PoolsSpec = PoolsSpec()
    """Where IPv4 addresses come from."""
    pools6: Pools6Spec = Pools6Spec()
    """Where IPv6 addresses come from."""
    asn: AsnSpec = AsnSpec()
    """AS numbers, private ones (RFC 6996)."""
    kubernetes: KubernetesSpec | None = None
    """The Kubernetes that is deployed; without it, none can be."""
    script: ScriptSpec | None = None
    """The commands that deploy a cluster of your own."""
    images: Mapping[Name, ImageSpec] = Field(default_factory=dict)
    """Disk images of the user's own, by name."""
    device_classes: Mapping[Name, str] = Field(default_factory=dict)
    """Folders for volumes, absolute paths by name."""

    @model_validator(mode="before")
    @classmethod
    def _without_racks(cls, data: object) -> object:
        """Without racks there is no fabric unless the file has one, and nobody outside a fabric without borders."""
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        if not filled.get("racks") and "fabric" not in filled:
            filled["fabric"] = {"borders": 0, "spines": 0}
        fabric = filled.get("fabric")
        borders = fabric.get("borders", 1) if isinstance(fabric, dict) else getattr(fabric, "borders", 1)
        if "external" not in filled and borders == 0:
            filled["external"] = {"clients": 0}
        return filled

    def each_rack(self) -> Iterator[RackSpec]:
        """Yield the spec of each rack, by number."""
        for entry in self.racks:
            yield from entry.each()

    def rack_servers(self) -> tuple[Mapping[str, int], ...]:
        """Return for each rack, by number, how many servers of each role it has."""
        return tuple(rack.servers for rack in self.each_rack())
