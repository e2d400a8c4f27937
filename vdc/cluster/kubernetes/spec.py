"""What every configuration of a Kubernetes cluster follows from. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from vdc.errors import InputError
from vdc.model.deployment import Kubernetes
from vdc.model.ip import Address
from vdc.model.topology import Server, Topology

Version = tuple[int, int, int]

API_NAME = "kubernetes"
"""What the certificate of every API server is for, besides its own names and addresses."""
API_PORT = 6443
"""Where API servers answer, on their node's address."""
PROXY_PORT = 16443
"""Where the reverse proxy of every node answers, on loopback and on the node's address."""


def parse_version(text: str) -> Version:
    """Return "v1.20.2", "1.20.2" or "1.20.2-debian" as numbers. Raises InputError."""
    numbers = text.removeprefix("v").split("-")[0].split("+")[0].split(".")
    try:
        major, minor, patch = map(int, numbers)
    except ValueError:
        raise InputError(f'"{text}" is not a version of Kubernetes', hint="as 1.20.2") from None
    return major, minor, patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A server as a node."""

    server: Server
    control_plane: bool

    @property
    def name(self) -> str:
        """The name of the node is that of the server."""
        return self.server.name

    @property
    def address(self) -> Address:
        """What it is known by."""
        return self.server.node.ip

    @property
    def zone(self) -> str:
        """Its failure domain: the rack."""
        return f"rack{self.server.rack}"


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """A cluster: `name` is that of its data centre, `versions` are of the release, by component.

    `nodes` are all that there are to be, control plane first. A node that is to be removed is not among them.
    """

    name: str
    topology: Topology
    nodes: tuple[Node, ...]
    versions: Mapping[str, str]
    slowness: float

    @property
    def settings(self) -> Kubernetes:
        """What the topology says of it. Raises InputError: it says nothing."""
        if self.topology.kubernetes is None:
            raise InputError(
                f"{self.topology.name} has no Kubernetes", hint="give the topology a section `kubernetes: {}`"
            )
        return self.topology.kubernetes

    @cached_property
    def version(self) -> Version:
        """The version of Kubernetes."""
        return parse_version(self.versions["kubernetes"])

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """The nodes with an API server and an etcd member."""
        return tuple(node for node in self.nodes if node.control_plane)

    def node(self, name: str) -> Node:
        """Return a node; raises KeyError naming the ones there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name!r}; there are {', '.join(each.name for each in self.nodes)}")


def cluster_spec(
    topology: Topology,
    *,
    name: str,
    versions: Mapping[str, str],
    slowness: float,
    promoted: frozenset[str] = frozenset(),
) -> ClusterSpec:
    """Return the cluster that a topology describes; `promoted` are workers that became control-plane nodes."""
    settings = topology.kubernetes
    planes = {*(settings.control_planes if settings else ()), *promoted}
    nodes = [Node(server=server, control_plane=server.name in planes) for server in topology.members]
    return ClusterSpec(
        name=name,
        topology=topology,
        nodes=tuple(sorted(nodes, key=lambda node: not node.control_plane)),
        versions=versions,
        slowness=slowness,
    )
